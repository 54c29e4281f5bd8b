// EditingMode owns the mode of a terminal in which each key arrives at once and is not echoed.
// Ctrl-C and Ctrl-\ still send signals, and output is processed as usual.
#pragma once

#include <termios.h>

namespace frsh {

class EditingMode {
  public:
    // `terminal` is lent.
    explicit EditingMode(int terminal) : terminal_(terminal) {}
    ~EditingMode() { leave(); }
    EditingMode(const EditingMode&) = delete;
    EditingMode& operator=(const EditingMode&) = delete;

    void enter();
    // Restores the mode that was there at enter().
    void leave();
    // Sets the mode again: another program may have changed it.
    void renew();

  private:
    void set();

    int terminal_;
    termios before_{};
    bool is_on_ = false;
};

}  // namespace frsh
