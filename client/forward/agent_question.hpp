// AgentQuestion asks the user of this terminal whether a program on the server may have a
// signature. The terminal may show a remote program meanwhile, so its modes are put back.
//
// The answer is "yes" or "y" and Enter: one key alone could be meant for the remote program. Keys
// that were typed before the question are dropped. Without a terminal, SSH_ASKPASS is asked (as by
// ssh-agent -c: SSH_ASKPASS_PROMPT=confirm); without both the answer is no.
#pragma once

#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"
#include "common/sys/timer.hpp"

#include <functional>
#include <string>

#include <sys/types.h>
#include <termios.h>

namespace frsh {

class AgentQuestion {
  public:
    // Unasked: there is neither a terminal nor SSH_ASKPASS.
    enum class Answer { Yes, No, Unasked };
    // Called once, from the loop. May destroy this object.
    using OnAnswer = std::function<void(Answer)>;

    // `lines` and `question` must be free of control characters.
    AgentQuestion(EventLoop& loop, const std::string& lines, const std::string& question,
                  OnAnswer on_answer);
    // Withdraws the question if it has no answer yet.
    ~AgentQuestion();
    AgentQuestion(const AgentQuestion&) = delete;
    AgentQuestion& operator=(const AgentQuestion&) = delete;

  private:
    [[nodiscard]] bool begin_on_terminal(const std::string& lines, const std::string& question);
    [[nodiscard]] bool begin_with_program(const std::string& text);
    void on_line();
    void on_program_ended();
    void restore_terminal();
    void finish(Answer answer);

    EventLoop& loop_;
    OnAnswer on_answer_;
    Fd terminal_;
    termios before_{};
    Fd program_;  // Ends when SSH_ASKPASS has ended.
    pid_t pid_ = 0;
    std::string line_;
    Timer timer_;
    EventLoop::Watch watch_;
};

}  // namespace frsh
