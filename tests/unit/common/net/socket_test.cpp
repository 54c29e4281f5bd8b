#include "common/net/socket.hpp"

#include <cstring>
#include <string>

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using namespace frsh;

TEST_CASE("socket: a peer is silent after 45 s of unanswered bytes only") {
    CHECK(is_silence(1, 45'001ms));
    CHECK(is_silence(100, 600s));
    // The last answer is more recent than that.
    CHECK_FALSE(is_silence(1, 45s));
    CHECK_FALSE(is_silence(100, 0s));
    // No data waits for an acknowledgement: an idle connection has no limit.
    CHECK_FALSE(is_silence(0, 46s));
    CHECK_FALSE(is_silence(0, 24h));
    // Settings may ask for a shorter limit.
    CHECK(is_silence(1, 2'001ms, KeepAlive{1s, 2}));
    CHECK_FALSE(is_silence(1, 2s, KeepAlive{1s, 2}));
}

TEST_CASE("socket: a peer that does not read is not silent") {
    const Fd listening = listen_tcp(resolve({"127.0.0.1", 0}, true).at(0));
    const Fd near = connect_tcp(local_address(listening.get()), EventLoop::kNever);
    tune_tcp(near.get());
    const auto far = accept_connection(listening.get());
    REQUIRE(far);
    const std::string much(std::size_t{1} << 20, 'x');
    while (write_some(near.get(), much).status == IoResult::Status::Done) {
    }
    CHECK_FALSE(is_peer_silent(near.get()));
}
