// One connection carrying many channels: where bytes become messages and messages bytes.
//
// Pull, not push. Nobody hands data to a link; while its outbox is short the link asks its sources
// in turn for at most one chunk each. So bytes wait in two kinds of place only, a stream and the
// outbox, both bounded, and what controls (signal, credit, open) is never behind more than one
// outbox of data.
#pragma once

#include "common/net/transport.hpp"
#include "common/proto/message.hpp"
#include "common/sys/event_loop.hpp"

#include <memory>
#include <string>
#include <vector>

namespace frsh {

class Link {
  public:
    // What a channel has to say. Asked only from flush(), and must not change the link's list of
    // sources from in there.
    class Source {
      public:
        virtual ~Source() = default;
        [[nodiscard]] virtual bool has_output() const = 0;
        // Appends what may not wait behind data: credit that has come due.
        virtual void put_control(std::string& out) = 0;
        // Appends at most one frame with at most `most` bytes of data, or what follows the data.
        virtual void put_chunk(std::string& out, std::size_t most) = 0;
    };

    class Handler {
      public:
        virtual ~Handler() = default;
        virtual void on_message(const Message& message) = 0;
        // Called once: nothing more will be read. `problem` is empty where the peer closed between
        // two frames, else it says what went wrong, ready to be shown. After a protocol error the
        // peer is told why as soon as the caller flushes.
        virtual void on_link_down(const std::string& problem) = 0;
    };

    // All three are lent. Reading begins with the first turn of the loop.
    Link(EventLoop& loop, std::unique_ptr<Transport> transport, Handler& handler,
         FrameLimits limits = kFrameLimits);
    ~Link();

    // Ahead of all data that is not in the outbox yet.
    void send(const Message& message);
    void add(Source& source);
    void remove(Source& source);

    // The same channels over another connection. What was not sent yet is forgotten, and so is what
    // arrived of a frame; `received` has arrived on the new one already, and is acted upon at once.
    void replace(std::unique_ptr<Transport> transport, FrameLimits limits = kFrameLimits,
                 std::string_view received = {});
    // These bytes have arrived already, and are acted upon at once.
    void receive(std::string_view bytes);
    // The connection is closed without a word more. Only outside the handler's functions.
    void drop();
    // From within the handler: this message is the last that is acted upon. What came behind it is
    // take_rest()'s.
    void hold() { held_ = true; }
    // Not the last after all: it is acted upon once more, and then what came behind it, which was
    // taken.
    void go_on(const Message& message, std::string_view rest);
    [[nodiscard]] std::string take_rest() { return decoder_.frames().take_rest(); }
    // Lent; null once it was dropped.
    [[nodiscard]] const Transport* transport() const { return transport_.get(); }

    // Writes what can be written without waiting. Call before every turn of the loop.
    void flush();

    // From now on, the limits of a peer that has shown who it is.
    void trust() { decoder_.frames().set_limits(kFrameLimits); }

    // What was said and has not come to be written, in bytes.
    [[nodiscard]] std::size_t backlog() const { return control_.size(); }

    // Nothing is said after what has been said so far, and nothing more is read. Flush until
    // is_flushed(), or give up and destroy it.
    void close();
    [[nodiscard]] bool is_flushed() const;
    [[nodiscard]] bool is_down() const { return down_; }
    // We have ended it: it was closed, or the peer broke the protocol.
    [[nodiscard]] bool is_closing() const { return closing_; }
    // The peer takes no more, or has been told that no more will come.
    [[nodiscard]] bool is_mute() const { return mute_; }

  private:
    void watch();
    void on_readable();
    void read_messages();
    void act_on_messages();
    // What ends a connection is told to the handler instead of being thrown.
    template <typename Act>
    void guard(Act&& act);
    void refill();
    void go_down(const std::string& problem);

    EventLoop& loop_;
    std::unique_ptr<Transport> transport_;
    Handler& handler_;
    MessageDecoder decoder_;
    std::vector<Source*> sources_;
    std::size_t next_source_ = 0;  // Whose turn it is.
    std::string control_;          // Whole frames that go before any more data.
    std::string outbox_;           // What is being written, from written_ on.
    std::size_t written_ = 0;
    bool down_ = false;         // Nothing more is read.
    bool held_ = false;         // Nor acted upon.
    bool closing_ = false;      // Nothing more is said.
    bool is_finished_ = false;  // And the peer was told.
    bool mute_ = false;         // The peer takes no more.
    EventLoop::Watch read_watch_;
    EventLoop::Watch write_watch_;
};

}  // namespace frsh
