// ControlDoor is the socket through which clients send requests about a shared link itself, not
// about runs: ssh's `-O check` and its like.
//
// A request is one line, and so is the answer: "ok", "ok PORT" or "no REASON". After the answer the
// door closes the connection; the answer may come later. The exception is "stay": that guest keeps
// its connection to learn when the holder ends. The guest reads "stopped" if the link was given up,
// else only the end of the stream.
#pragma once

#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <string_view>

namespace frsh {

class ControlDoor {
  public:
    // Takes the answer, without a line end. Does nothing if the guest has gone.
    using Reply = std::function<void(std::string_view answer)>;
    // Takes a request without its line end, and calls `reply` once, at once or later.
    using Answer = std::function<void(std::string_view request, const Reply& reply)>;

    ControlDoor(EventLoop& loop, Fd listening, Answer answer);
    ~ControlDoor() = default;
    ControlDoor(const ControlDoor&) = delete;
    ControlDoor& operator=(const ControlDoor&) = delete;

    // Accepts no further guests.
    void close();
    // Sends "stopped" to those that stay.
    void dismiss();
    // Forgets those that have gone. Call it after each turn of the loop.
    void remove_finished();
    [[nodiscard]] bool has_staying_guest() const;

  private:
    enum class State { Asking, Waiting, Staying, Gone };
    struct Guest {
        Fd socket;
        std::uint64_t number;
        std::string request = {};
        State state = State::Asking;
        EventLoop::Watch watch = {};
    };

    void accept();
    void read(Guest& guest);
    void reply(std::uint64_t guest, std::string_view line);
    // Returns false if the guest did not take all of it at once. A line fits into any socket.
    static bool send(const Guest& guest, std::string_view line);

    EventLoop& loop_;
    Fd listening_;
    Answer answer_;
    std::list<Guest> guests_;
    std::uint64_t last_guest_ = 0;
    EventLoop::Watch watch_;
};

// Sends a request to the door at `path`, and returns the answer. Throws SysError: ETIMEDOUT if
// there is no answer in time.
[[nodiscard]] std::string ask_door(const std::string& path, std::string_view request);
// As above for "stay"; returns the connection.
[[nodiscard]] Fd stay_at_door(const std::string& path);

}  // namespace frsh
