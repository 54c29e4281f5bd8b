// SocksRequest is the server's side of SOCKS 4, 4a and 5 (RFC 1928), without a descriptor: it takes
// the bytes of a client and returns the answers. Only CONNECT without a login is accepted.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace frsh {

class SocksRequest {
  public:
    enum class State {
        Reading,   // More bytes are needed.
        Complete,  // The client wants a connection to to().
        Refused,   // The client gets no connection; the last answer gave the reason.
    };

    // Takes bytes of the client. Returns the answer to send, often empty.
    [[nodiscard]] std::string take(std::string_view bytes);

    [[nodiscard]] State state() const { return state_; }
    // Returns the host and the port of a complete request.
    [[nodiscard]] const std::vector<std::string>& to() const { return to_; }
    // Returns the bytes that followed the complete request.
    [[nodiscard]] const std::string& rest() const { return pending_; }
    // Returns the answer to a complete request. `error` is 0 for success, or an errno; nothing: the
    // name is unknown.
    [[nodiscard]] std::string answer(std::optional<int> error) const;

  private:
    std::string greet();
    std::string read_v4();
    std::string read_v5();
    std::string refuse(std::string answer);
    void complete(std::string host, unsigned port, std::size_t used);

    State state_ = State::Reading;
    bool is_greeted_ = false;  // The methods of SOCKS 5 were answered.
    char version_ = 0;         // 0: none yet.
    std::string pending_;
    std::vector<std::string> to_;
};

}  // namespace frsh
