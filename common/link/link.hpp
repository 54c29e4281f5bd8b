// One connection that carries many channels: bytes become messages here, and messages bytes.
//
// The link pulls. While its outbox is short, it takes at most one chunk from each source in turn;
// no source pushes data into the link. So bytes wait in two kinds of place only, a stream and the
// outbox, and both are bounded. A control message (signal, credit, open) never waits behind more
// than one outbox of data.
#pragma once

#include "common/net/transport.hpp"
#include "common/proto/frame.hpp"
#include "common/proto/message.hpp"
#include "common/sys/event_loop.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace frsh {

class Link {
  public:
    // A channel that has bytes to send. The link calls these functions from flush() only. They must
    // not add or remove sources.
    class Source {
      public:
        virtual ~Source() = default;
        // Returns true if put_chunk() would append something.
        [[nodiscard]] virtual bool has_output() const = 0;
        // Appends frames that may not wait behind data: credit that is due.
        virtual void put_control(std::string& out) = 0;
        // Appends at most one frame: at most `most` bytes of data, or what follows the data.
        virtual void put_chunk(std::string& out, std::size_t most) = 0;
    };

    class Handler {
      public:
        virtual ~Handler() = default;
        virtual void on_message(const Message& message) = 0;
        // Called at most once for each connection, when the link stops reading without close() or
        // drop(). `problem` is ready to be shown; it is empty if the peer closed between two
        // frames. After a protocol error the next flush() sends the reason to the peer.
        virtual void on_link_down(const std::string& problem) = 0;
    };

    // The link's state. "Reads" takes bytes from the peer and acts on them, "queues" accepts new
    // messages and chunks, "writes" sends what is queued.
    //
    // | state           | reads  | queues | writes | entered                                    |
    // |-----------------|--------|--------|--------|--------------------------------------------|
    // | Open            | yes    | yes    | yes    | constructor, replace(); go_on() if Held    |
    // | Held            | paused | yes    | yes    | hold()                                     |
    // | ReadClosed      | no     | yes    | yes    | the peer sent end of file                  |
    // | WriteClosed     | yes    | no     | no     | a write found that the peer reads no more  |
    // | WriteClosedHeld | paused | no     | no     | hold() and WriteClosed, in either order    |
    // | Draining        | no     | no     | yes    | close(), or a protocol error               |
    // | Finishing       | no     | no     | yes    | all is written; the transport says goodbye |
    // | Closed          | no     | no     | no     | the goodbye is written, or cannot be       |
    // | Lost            | no     | no     | no     | drop(), or a failed read or write          |
    //
    // Closed and Lost differ in the cause: this end closed the link, or did not.
    enum class State {
        Open,
        Held,
        ReadClosed,
        WriteClosed,
        WriteClosedHeld,
        Draining,
        Finishing,
        Closed,
        Lost,
    };

    // `loop` and `handler` are lent and must outlive the link. Reading begins with the next turn of
    // the loop.
    Link(EventLoop& loop, std::unique_ptr<Transport> transport, Handler& handler,
         FrameLimits limits = kFrameLimits);
    ~Link();

    // Queues a message ahead of all data that is not in the outbox yet. Drops it if the state does
    // not queue.
    void send(const Message& message);
    // Adds a source. It is lent until remove().
    void add(Source& source);
    void remove(Source& source);

    // Continues the same channels over another connection. Forgets what was not sent yet, and the
    // bytes of an incomplete frame. `received` are bytes that already arrived on the new
    // connection; the link acts on them before this function returns.
    void replace(std::unique_ptr<Transport> transport, FrameLimits limits = kFrameLimits,
                 std::string_view received = {});
    // Acts on bytes that have already arrived, before this function returns.
    void receive(std::string_view bytes);
    // Closes the connection at once and sends nothing more. Must not be called by the handler.
    void drop();
    // Pauses reading. Called by the handler, it makes the current message the last one acted on;
    // take_rest() returns the bytes behind it.
    void hold();
    // Ends hold(): acts on `message` again, then on `rest`, the bytes that take_rest() returned.
    void go_on(const Message& message, std::string_view rest);
    // Returns the bytes that arrived and were not acted on, and forgets them.
    [[nodiscard]] std::string take_rest() { return decoder_.frames().take_rest(); }
    // Returns the transport, lent until replace() or drop(); null after drop().
    [[nodiscard]] const Transport* transport() const { return transport_.get(); }

    // Writes what can be written without blocking. Call it before every turn of the loop.
    void flush();

    // Raises the frame limits to those of an authenticated peer.
    void trust() { decoder_.frames().set_limits(kFrameLimits); }

    // Returns how many bytes of messages are queued and not yet in the outbox.
    [[nodiscard]] std::size_t backlog() const { return control_.size(); }

    // Stops reading and queueing. What is queued is still written: call flush() until is_flushed(),
    // or give up and destroy the link.
    void close();
    // Returns true if nothing is left to write: also if nothing can be written any more.
    [[nodiscard]] bool is_flushed() const;

    [[nodiscard]] State state() const { return state_; }
    // Returns true if the link will read nothing more. False while it is paused.
    [[nodiscard]] bool is_down() const;
    // Returns true if this end closed the link: by close(), or because of a protocol error.
    [[nodiscard]] bool is_closing() const;
    // Returns true if nothing more can be written.
    [[nodiscard]] bool is_mute() const;

  private:
    enum class Event { Hold, GoOn, ReadEnd, WriteEnd, Close, Finish, Lose, Replace };

    // Changes state_, as the table above says. The only function that does.
    void change(Event event);
    // Changes the state, and calls on_link_down() if that ended reading.
    void go_down(Event event, const std::string& problem);

    [[nodiscard]] bool is_reading() const;
    void watch();
    void on_readable();
    void read_messages();
    void act_on_messages();
    // Calls `act`. Turns an exception that ends the connection into go_down().
    template <typename Act>
    void guard(Act&& act);
    void refill();

    EventLoop& loop_;
    std::unique_ptr<Transport> transport_;
    Handler& handler_;
    MessageDecoder decoder_;
    std::vector<Source*> sources_;
    std::size_t next_source_ = 0;  // The index of the next source to take a chunk from.
    std::string control_;          // Whole frames that go before any more data.
    std::string outbox_;           // What is being written; the first written_ bytes are gone.
    std::size_t written_ = 0;
    State state_ = State::Open;
    EventLoop::Watch read_watch_;
    EventLoop::Watch write_watch_;
};

}  // namespace frsh
