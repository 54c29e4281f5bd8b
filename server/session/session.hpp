// The server process behind a connection. It runs as the user and owns what he has running: as long
// as any of that lives, it does, whether or not the connection is still there.
//
//     a connection ──▶ ClientConnection ──▶ its runs and shells
//                         │ follows
//                         ▼
//                      Registry ◀── ClientConnection ◀── a connection that another session has
//                      brought
#pragma once

#include "server/session/client_connection.hpp"

#include <list>
#include <memory>

namespace frsh {

class Session {
  public:
    Session(EventLoop& loop, std::unique_ptr<Transport> transport, SessionSettings settings);

    // One turn: write, wait, act. False once the session is over.
    bool run_once();
    // A child of this process has ended.
    void child_exited(const ExitStatus& status);
    // We are told to end: so are the runs, and the clients hear why.
    void terminate();

  private:
    void take_in(Handoff arrived, Fd visit);

    EventLoop& loop_;
    SessionSettings settings_;
    Registry kept_;
    std::list<std::unique_ptr<ClientConnection>> client_connections_;  // After what they follow.
    const ClientConnection* first_;                                    // Null once it is over.
};

// The whole life of a session process: signals, children, the loop. Returns the exit status.
int run_session(std::unique_ptr<Transport> transport, SessionSettings settings);

}  // namespace frsh
