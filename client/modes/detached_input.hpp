// The stdin of a client that starts a run and leaves (--detach).
#pragma once

namespace frsh {

// Reports that stdin is not passed on, if it has or may get content: it is no terminal, no device
// and not at its end.
void report_unread_stdin();

}  // namespace frsh
