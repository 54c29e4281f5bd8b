#include "server/forward/connect_channel.hpp"

#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

using frsh::forward_refusal;
using frsh::LaunchContext;

namespace {

frsh::msg::Open connect_to(std::vector<std::string> to) {
    frsh::msg::Open open;
    open.mode = frsh::msg::Open::Mode::Connect;
    open.args = std::move(to);
    return open;
}

}  // namespace

TEST_CASE("forwarding: a key that may not forward gets no connection") {
    LaunchContext context;
    CHECK(!forward_refusal(connect_to({"db", "80"}), context));
    context.may_forward = false;
    const auto refusal = forward_refusal(connect_to({"db", "80"}), context);
    REQUIRE(refusal);
    CHECK(refusal->stage == "connect");
    CHECK(refusal->message == "db:80: this key may not forward ports");
    CHECK(forward_refusal(connect_to({"/run/x"}), context));
}

TEST_CASE("forwarding: permitopen compares the host as it was sent") {
    LaunchContext context;
    context.permit_open = {"db:80", "[::1]:22", "any:*"};
    CHECK(!forward_refusal(connect_to({"db", "80"}), context));
    CHECK(!forward_refusal(connect_to({"::1", "22"}), context));
    CHECK(!forward_refusal(connect_to({"any", "1"}), context));
    CHECK(forward_refusal(connect_to({"db", "81"}), context));
    CHECK(forward_refusal(connect_to({"DB", "80"}), context));
    CHECK(forward_refusal(connect_to({"127.0.0.1", "80"}), context));
    CHECK(forward_refusal(connect_to({"/run/x"}), context));
}
