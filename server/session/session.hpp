// Session is the server process behind a connection. It runs as the user and owns the user's runs.
// It lives as long as any of them lives, with or without a connection.
//
//     a connection ──▶ ClientConnection ──▶ its runs and shells
//                         │ reads journals
//                         ▼
//                      Registry ◀── ClientConnection ◀── a connection handed off by another session
#pragma once

#include "server/session/client_connection.hpp"

#include <list>
#include <memory>

namespace frsh {

class Session {
  public:
    Session(EventLoop& loop, std::unique_ptr<Transport> transport, SessionSettings settings);

    // Runs one turn of the loop: writes, waits, acts. Returns false once the session is over.
    bool run_once();
    // Reports that a child of this process has ended.
    void child_exited(const ExitStatus& status);
    // Acts on kLeaveIfIdle: the server needs the places of sessions that do nothing.
    void leave_if_idle();
    // Ends all runs, because the process has to end; the clients get an error.
    void terminate();

  private:
    // Accepts a connection that another session hands off.
    void take_in(Handoff arrived, Fd visit);

    EventLoop& loop_;
    SessionSettings settings_;
    Registry kept_;
    std::list<std::unique_ptr<ClientConnection>> client_connections_;  // After the registry.
    const ClientConnection* first_;  // The client of the start; null once that is over.
};

// Runs a session process until it is over: signals, children, the loop. Returns the exit status.
// Throws if ending the runs fails.
int run_session(std::unique_ptr<Transport> transport, SessionSettings settings);

}  // namespace frsh
