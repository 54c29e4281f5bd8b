#include "client/forward/agent_filter.hpp"

#include "common/base/error.hpp"
#include "common/keys/ssh_wire.hpp"

#include <cstdint>
#include <string>

#include <doctest/doctest.h>

using frsh::AgentRequest;
using frsh::AgentRequests;
using frsh::purpose_of;
using frsh::WireWriter;

namespace {

std::string agent_message(const std::string& content) {
    return WireWriter().string(content).take();
}

std::string sign_content(const std::string& blob, const std::string& data) {
    return WireWriter().u8(13).string(blob).string(data).u32(0).take();
}

}  // namespace

TEST_CASE("agent filter: only a list and a signature are requests that pass") {
    for (int type = 0; type < 256; ++type) {
        AgentRequests requests;
        requests.feed(agent_message(std::string(1, static_cast<char>(type))));
        const auto request = requests.next();
        REQUIRE(request);
        CHECK((request->kind == AgentRequest::Kind::List) == (type == 11));
        CHECK(request->kind != AgentRequest::Kind::Sign);
    }
    AgentRequests requests;
    requests.feed(agent_message("\x0bx"));  // A list has no content.
    requests.feed(agent_message(sign_content("blob", "data")));
    requests.feed(agent_message(sign_content("blob", "data") + "more"));
    CHECK(requests.next()->kind == AgentRequest::Kind::Other);
    const auto sign = requests.next();
    CHECK(sign->kind == AgentRequest::Kind::Sign);
    CHECK(sign->key_blob == "blob");
    CHECK(sign->data == "data");
    CHECK(sign->message == agent_message(sign_content("blob", "data")));
    CHECK(requests.next()->kind == AgentRequest::Kind::Other);
    CHECK_FALSE(requests.next());
}

TEST_CASE("agent filter: a request that arrives byte by byte is delivered at its last byte") {
    const std::string whole = agent_message(sign_content("blob", "data"));
    AgentRequests requests;
    for (std::size_t i = 0; i < whole.size(); ++i) {
        CHECK_FALSE(requests.next());
        requests.feed(whole.substr(i, 1));
    }
    CHECK(requests.next()->message == whole);
}

TEST_CASE("agent filter: a length that no agent accepts is refused before its bytes arrive") {
    for (const std::uint32_t length : {0U, 256U * 1024 + 1, 0xffffffffU}) {
        AgentRequests requests;
        requests.feed(WireWriter().u32(length).take());
        CHECK_THROWS_AS((void)requests.next(), frsh::ProtocolError);
    }
    AgentRequests requests;
    requests.feed(WireWriter().u32(256 * 1024).take());
    CHECK_FALSE(requests.next());
}

TEST_CASE("agent filter: the purpose of a signature is told as far as its bytes tell it") {
    const auto signature_for = [](const char* name) {
        return "SSHSIG" + WireWriter().string(name).string("").string("sha512").string("h").take();
    };
    CHECK(purpose_of(signature_for("git")) == "a signature for \"git\"");
    CHECK(purpose_of(signature_for("auth-v1@frsh")) == "a login by frsh");
    const auto login = [](const char* method) {
        return WireWriter()
            .string("id")
            .u8(50)
            .string("bob")
            .string("ssh-connection")
            .string(method)
            .u8(1)
            .string("ssh-ed25519")
            .string("key")
            .take();
    };
    CHECK(purpose_of(login("publickey")) == "a login as bob over ssh");
    CHECK(purpose_of(login("password")) == "something that cannot be told");
    CHECK(purpose_of(login("publickey-hostbound-v00@openssh.com")) ==
          "something that cannot be told");  // Without its host key.
    CHECK(purpose_of("") == "something that cannot be told");
    CHECK(purpose_of("SSHSIG") == "something that cannot be told");
}

TEST_CASE("agent filter: a refusal is the agent's own word for it") {
    CHECK(frsh::agent_refusal() == std::string("\0\0\0\1\5", 5));
}
