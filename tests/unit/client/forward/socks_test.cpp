#include "client/forward/socks.hpp"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

using namespace std::string_literals;
using frsh::SocksRequest;

namespace {

using State = SocksRequest::State;
using Words = std::vector<std::string>;

struct Taken {
    SocksRequest request;
    std::string answers;
};

// Takes the bytes in pieces of `size` bytes.
Taken take(std::string_view bytes, std::size_t size) {
    Taken taken;
    for (; !bytes.empty(); bytes.remove_prefix(std::min(size, bytes.size())))
        taken.answers += taken.request.take(bytes.substr(0, size));
    return taken;
}

}  // namespace

TEST_CASE("socks: each form of a request is taken, however it is cut") {
    struct Row {
        std::string bytes;
        std::string answers;
        Words to;
    };
    for (const Row& row :
         {Row{"\5\1\0\5\1\0\3\2db\0\x50more"s, "\5\0"s, {"db", "80"}},
          Row{"\5\2\2\0\5\1\0\1\x7f\0\0\1\x1f\x90more"s, "\5\0"s, {"127.0.0.1", "8080"}},
          Row{"\5\1\0\5\1\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\x50more"s, "\5\0"s, {"::1", "80"}},
          Row{"\4\1\0\x50\x7f\0\0\1me\0more"s, "", {"127.0.0.1", "80"}},
          Row{"\4\1\0\x50\0\0\0\1me\0db\0more"s, "", {"db", "80"}}}) {
        for (std::size_t size = 1; size <= row.bytes.size(); ++size) {
            const Taken taken = take(row.bytes, size);
            CHECK(taken.request.state() == State::Complete);
            CHECK(taken.request.to() == row.to);
            CHECK(taken.request.rest() == "more");
            CHECK(taken.answers == row.answers);
        }
    }
}

TEST_CASE("socks: what is no CONNECT is refused with a reply") {
    struct Row {
        std::string bytes;
        std::string answers;
    };
    const std::string zeros("\0\1\0\0\0\0\0\0", 8);
    for (const Row& row :
         {Row{"\5\1\2"s, "\5\xff"s}, Row{"\5\0"s, "\5\xff"s},
          Row{"\5\1\0\5\2\0\3\2db\0\x50"s, "\5\0\5\7"s + zeros},
          Row{"\5\1\0\5\1\0\2\2db\0\x50"s, "\5\0\5\x8"s + zeros},
          Row{"\5\1\0\5\1\0\3\0\0\x50"s, "\5\0\5\1"s + zeros},
          Row{"\5\1\0\5\1\0\3\2d\0\0\x50"s, "\5\0\5\1"s + zeros},
          Row{"\4\2\0\x50\x7f\0\0\1\0"s, "\0\x5b\0\0\0\0\0\0"s},
          Row{"\4\1\0\x50\0\0\0\1\0\0"s, "\0\x5b\0\0\0\0\0\0"s}, Row{"GET / HTTP/1.1"s, ""}}) {
        const Taken taken = take(row.bytes, 1);
        CHECK(taken.request.state() == State::Refused);
        CHECK(taken.answers == row.answers);
    }
}

TEST_CASE("socks: a request without an end is refused") {
    CHECK(take("\4\1\0\x50\x7f\0\0\1"s + std::string(2000, 'x'), 100).request.state() ==
          State::Refused);
}

TEST_CASE("socks: the answer gives the reason of a failure") {
    const SocksRequest v5 = take("\5\1\0\5\1\0\3\2db\0\x50"s, 100).request;
    const auto code = [&v5](std::optional<int> error) { return int{v5.answer(error).at(1)}; };
    CHECK(code(0) == 0);
    CHECK(code(EPERM) == 2);
    CHECK(code(ENETUNREACH) == 3);
    CHECK(code(std::nullopt) == 4);
    CHECK(code(ECONNREFUSED) == 5);
    CHECK(code(ETIMEDOUT) == 6);
    CHECK(code(EIO) == 1);
    const SocksRequest v4 = take("\4\1\0\x50\x7f\0\0\1\0"s, 100).request;
    CHECK(v4.answer(0).at(1) == 0x5a);
    CHECK(v4.answer(ECONNREFUSED).at(1) == 0x5b);
}
