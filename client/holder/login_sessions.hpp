// LoginSessions watches the login sessions that a link holder works for, so that the holder ends
// with the last of them.
//
// A login session is here a session of processes (setsid(2)) with a terminal. A session without a
// terminal, such as that of cron(8), may begin and end with each command, so it does not count. If
// no session counts, or pid namespaces hide it, the holder ends only after its time, or when the
// folder of its socket is removed: systemd-logind(8) does that after the user's last session.
#pragma once

#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"

#include <map>
#include <string>

#include <sys/types.h>

namespace frsh {

class LoginSessions {
  public:
    // `socket` is the path of the holder's socket.
    LoginSessions(EventLoop& loop, std::string socket);
    LoginSessions(const LoginSessions&) = delete;
    LoginSessions& operator=(const LoginSessions&) = delete;

    // Adds the login session of the process at the other end of this unix socket.
    void add(int unix_socket);
    // Returns true once all sessions that were added have ended, or the holder's socket is gone.
    [[nodiscard]] bool have_ended() const {
        return is_socket_gone_ || (has_any_ && leaders_.empty());
    }

  private:
    struct Leader {
        Fd pidfd;
        EventLoop::Watch watch;
    };

    void on_folder_change();

    EventLoop& loop_;
    std::string socket_;
    Fd folder_events_;
    EventLoop::Watch folder_watch_;
    std::map<pid_t, Leader> leaders_;
    bool has_any_ = false;
    bool is_socket_gone_ = false;
};

}  // namespace frsh
