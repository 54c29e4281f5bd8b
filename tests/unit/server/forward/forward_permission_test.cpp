#include "server/forward/forward_permission.hpp"

#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

using frsh::forward_refusal;
using frsh::ForwardRules;
using frsh::listen_refusal;

namespace {

frsh::msg::Open connect_to(std::vector<std::string> to) {
    frsh::msg::Open open;
    open.mode = frsh::msg::Open::Mode::Connect;
    open.args = std::move(to);
    return open;
}

frsh::msg::Listen listen_at(std::vector<std::string> place) {
    frsh::msg::Listen listen;
    listen.args = std::move(place);
    return listen;
}

}  // namespace

TEST_CASE("forwarding: a key that may not forward gets no connection") {
    ForwardRules rules;
    CHECK(!forward_refusal(connect_to({"db", "80"}), rules));
    rules.key_may_connect = false;
    const auto refusal = forward_refusal(connect_to({"db", "80"}), rules);
    REQUIRE(refusal);
    CHECK(refusal->stage == "connect");
    CHECK(refusal->message.starts_with("db:80: this key may not forward ports (authorized_keys: "));
    CHECK(forward_refusal(connect_to({"/run/x"}), rules));
    CHECK(!listen_refusal(listen_at({"localhost", "80"}), rules));
    rules.key_may_listen = false;
    CHECK(listen_refusal(listen_at({"localhost", "80"}), rules));
}

TEST_CASE("forwarding: the server's own rules hold beside those of the key") {
    ForwardRules rules;
    rules.server_permit_open = {{"db:*"}};
    rules.key_permit_open = {{"db:80", "web:80"}};
    CHECK(!forward_refusal(connect_to({"db", "80"}), rules));
    CHECK(forward_refusal(connect_to({"web", "80"}), rules)->message ==
          "web:80: permit_open in frshd.toml does not name it");
    CHECK(forward_refusal(connect_to({"db", "81"}), rules)->message ==
          "db:81: permitopen of this key does not name it");
    rules.server_may_connect = rules.server_may_listen = false;
    CHECK(forward_refusal(connect_to({"db", "80"}), rules)->message ==
          "db:80: forwarding in frshd.toml does not allow it");
    CHECK(*listen_refusal(listen_at({"localhost", "1"}), rules) ==
          "localhost:1: forwarding in frshd.toml does not allow it");
}

TEST_CASE("forwarding: permitlisten names a port on any address, or one address") {
    ForwardRules rules;
    rules.key_permit_listen = {{"*:8080", "localhost:9000", "[::1]:*", "/run/user/1/x"}};
    CHECK(!listen_refusal(listen_at({"localhost", "8080"}), rules));
    CHECK(!listen_refusal(listen_at({"", "8080"}), rules));
    CHECK(!listen_refusal(listen_at({"localhost", "9000"}), rules));
    CHECK(!listen_refusal(listen_at({"::1", "5"}), rules));
    CHECK(!listen_refusal(listen_at({"/run/user/1/x"}), rules));
    CHECK(listen_refusal(listen_at({"127.0.0.1", "9000"}), rules));
    CHECK(listen_refusal(listen_at({"localhost", "0"}), rules));
    CHECK(listen_refusal(listen_at({"/run/user/1/y"}), rules));
}

TEST_CASE("forwarding: permitopen compares the host as it was sent") {
    ForwardRules rules;
    rules.key_permit_open = {"db:80", "[::1]:22", "any:*"};
    CHECK(!forward_refusal(connect_to({"db", "80"}), rules));
    CHECK(!forward_refusal(connect_to({"::1", "22"}), rules));
    CHECK(!forward_refusal(connect_to({"any", "1"}), rules));
    CHECK(forward_refusal(connect_to({"db", "81"}), rules));
    CHECK(forward_refusal(connect_to({"DB", "80"}), rules));
    CHECK(forward_refusal(connect_to({"127.0.0.1", "80"}), rules));
    CHECK(forward_refusal(connect_to({"/run/x"}), rules));
}
