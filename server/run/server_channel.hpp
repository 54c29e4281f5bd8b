// ServerChannel is what a session has behind one channel of a link: a run (run_channel.hpp), the
// journal of a kept run (journal_channel.hpp) or a refusal (refused_channel.hpp).
//
// Every kind has the same streams: absolute offsets, credit, an end of file each way, and stop. So
// resuming and flow control need no second mechanism.
#pragma once

#include "common/base/error.hpp"
#include "common/link/link.hpp"
#include "common/proto/message.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/process.hpp"
#include "server/run/termination.hpp"

#include <optional>
#include <string>

#include <sys/types.h>

namespace frsh {

class ServerChannel : public Link::Source {
  public:
    using Time = EventLoop::Time;

    ServerChannel() = default;
    ServerChannel(const ServerChannel&) = delete;
    ServerChannel& operator=(const ServerChannel&) = delete;

    [[nodiscard]] virtual Channel channel() const = 0;
    // Returns the id of the run.
    [[nodiscard]] virtual const std::string& id() const = 0;
    // Returns true if the run of that id ends when this channel is abandoned.
    [[nodiscard]] virtual bool owns_run() const { return false; }
    // Returns 0 if the run has no process of its own.
    [[nodiscard]] virtual pid_t pid() const { return 0; }
    // Returns true for a connection that the session forwards.
    [[nodiscard]] virtual bool is_forward() const { return false; }
    // Returns false for a refusal: the client waits for nothing on this channel.
    [[nodiscard]] virtual bool is_active() const { return true; }

    // Act on a message of the client. Throw ProtocolError if it breaks the rules.
    virtual void on(const msg::Data& data) = 0;
    virtual void on(const msg::Eof& eof) = 0;
    virtual void on(const msg::Credit& credit) = 0;
    virtual void on(const msg::Stop& stop) = 0;
    virtual void on(const msg::Signal& signal) = 0;
    virtual void on(const msg::Cancel& cancel) = 0;
    virtual void on(const msg::Resize& resize) = 0;

    // Returns true once `end` has been sent; then the client may acknowledge it.
    [[nodiscard]] virtual bool is_told() const = 0;
    // Checks the acknowledgement, before the channel is removed. Throws ProtocolError.
    virtual void acknowledge(const msg::EndAck& ack, Time) {
        if (!is_told()) throw ProtocolError("an end_ack before the end");
        if (id() != ack.run) throw ProtocolError("an end_ack for another run");
    }

    // Continues on a new connection at the client's offsets, and sends again from there. Returns
    // how much of stdin has arrived; nothing if the channel cannot continue. Throws ProtocolError.
    virtual std::optional<Offset> resume(const msg::Resume::Point& point) = 0;
    // Returns what the client wants for a lost connection.
    [[nodiscard]] virtual OnDisconnect on_disconnect() const = 0;
    // Gives the channel up for good, and begins to end its run if it owns one. `first` is the first
    // step of that.
    virtual void abandon(Termination::First first, Time now) = 0;
    // Returns true once the channel is abandoned and nothing of it is left to be ended.
    [[nodiscard]] virtual bool is_over() const = 0;

    // From the system. `exited` is for a child that awaits() claims.
    [[nodiscard]] virtual bool awaits(pid_t) const { return false; }
    virtual void exited(const ExitStatus&) {}
    virtual void tick(Time) {}
    [[nodiscard]] virtual Time next_deadline() const { return EventLoop::kNever; }
};

}  // namespace frsh
