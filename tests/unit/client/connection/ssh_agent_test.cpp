#include "client/connection/ssh_agent.hpp"

#include "common/base/error.hpp"
#include "common/keys/private_key.hpp"
#include "common/keys/ssh_wire.hpp"
#include "common/keys/sshsig.hpp"
#include "tests/support/ssh_tools.hpp"

#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

using namespace std::chrono_literals;
using namespace std::string_literals;
using frsh::PrivateKey;
using frsh::ProtocolError;
using frsh::SshAgent;
using frsh::WireWriter;
using Clock = SshAgent::Clock;
using Answer = SshAgent::Answer;

namespace {

// A real ssh-agent in a folder of its own, ended with it.
class RealAgent {
  public:
    RealAgent() {
        const auto started = frsh::test::run_tool(folder, {"ssh-agent", "-s", "-a", "agent"});
        REQUIRE_MESSAGE(started.exit_code == 0, started.output);
        const std::string mark = "SSH_AGENT_PID=";
        pid_ = std::atoi(started.output.c_str() + started.output.find(mark) + mark.size());
        REQUIRE(pid_ > 1);
    }
    ~RealAgent() { ::kill(pid_, SIGTERM); }
    RealAgent(const RealAgent&) = delete;
    RealAgent& operator=(const RealAgent&) = delete;

    void add(const std::string& type, const std::string& bits, bool must_confirm = false) {
        const std::string name = type + bits;
        frsh::test::make_key(folder, name, type, bits);
        std::vector<std::string> argv = {"env",
                                         "SSH_AUTH_SOCK=" + path(),
                                         "SSH_ASKPASS=/bin/false",
                                         "SSH_ASKPASS_REQUIRE=force",
                                         "ssh-add",
                                         "-q"};
        if (must_confirm) argv.push_back("-c");
        argv.push_back(name);
        const auto added = frsh::test::run_tool(folder, argv);
        REQUIRE_MESSAGE(added.exit_code == 0, added.output);
    }
    [[nodiscard]] std::string path() const { return folder / "agent"; }

    frsh::test::TempFolder folder;

  private:
    pid_t pid_ = -1;
};

// An agent that sends the bytes of a test, or nothing.
class FalseAgent {
  public:
    explicit FalseAgent(std::string answer) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path().c_str(), sizeof address.sun_path - 1);
        listener_ = frsh::Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        REQUIRE(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address),
                       sizeof address) == 0);
        REQUIRE(::listen(listener_.get(), 1) == 0);
        thread_ = std::thread([this, answer = std::move(answer)] {
            const frsh::Fd peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
            char buffer[4096];
            if (::read(peer.get(), buffer, sizeof buffer) <= 0) return;
            if (!answer.empty()) frsh::write_all(peer.get(), answer);
            while (::read(peer.get(), buffer, sizeof buffer) > 0) {
            }
        });
    }
    ~FalseAgent() { thread_.join(); }
    FalseAgent(const FalseAgent&) = delete;
    FalseAgent& operator=(const FalseAgent&) = delete;

    [[nodiscard]] std::string path() const { return folder_ / "agent"; }

  private:
    frsh::test::TempFolder folder_;
    frsh::Fd listener_;
    std::thread thread_;
};

}  // namespace

TEST_CASE("ssh agent: a missing agent is no error") {
    CHECK_FALSE(SshAgent::connect("/no/such/agent"));
    CHECK_FALSE(SshAgent::connect(std::string(500, 'x')));
    const frsh::test::TempFolder folder;
    CHECK_FALSE(SshAgent::connect(folder.write("file", "no socket")));
}

TEST_CASE("ssh agent: a real agent signs with every type of key") {
    if (frsh::test::is_missing("ssh-agent") || frsh::test::is_missing("ssh-add")) return;
    RealAgent real;
    real.add("ed25519", "");
    real.add("ecdsa", "256");
    real.add("ecdsa", "521");
    real.add("rsa", "2048");
    auto agent = SshAgent::connect(real.path());
    REQUIRE(agent);
    const auto identities = agent->identities(Clock::now() + 5s);
    CHECK(identities.size() == 4);
    for (const auto& identity : identities) {
        CHECK(identity.comment == "it's a comment");
        const auto result =
            agent->sign(identity.key, frsh::sshsig_signed_data("auth-v1@frsh", "message"),
                        Clock::now() + 5s, nullptr);
        CHECK(result.answer == Answer::Signed);
        CHECK(frsh::verify_sshsig(identity.key, "auth-v1@frsh", "message", result.signature));
    }
}

TEST_CASE("ssh agent: after a refusal the next key can be tried") {
    if (frsh::test::is_missing("ssh-agent") || frsh::test::is_missing("ssh-add")) return;
    RealAgent real;
    real.add("ecdsa", "256", true);  // Wants to be confirmed, by an SSH_ASKPASS that will not.
    real.add("ed25519", "");
    auto agent = SshAgent::connect(real.path());
    REQUIRE(agent);
    const auto identities = agent->identities(Clock::now() + 5s);
    REQUIRE(identities.size() == 2);
    const auto stranger = PrivateKey::generate_ed25519().public_key();
    CHECK(agent->sign(stranger, "data", Clock::now() + 5s, nullptr).answer == Answer::Refused);
    CHECK(agent->sign(identities[0].key, "data", Clock::now() + 5s, nullptr).answer ==
          Answer::Refused);
    CHECK(agent->sign(identities[1].key, "data", Clock::now() + 5s, nullptr).answer ==
          Answer::Signed);
}

TEST_CASE("ssh agent: a wait is reported and limited") {
    const FalseAgent silent("");
    auto agent = SshAgent::connect(silent.path());
    REQUIRE(agent);
    const auto key = PrivateKey::generate_ed25519().public_key();
    int told = 0;
    const auto count = [&](std::string_view words) {
        CHECK(words == "waiting for ssh-agent: confirm or touch your key");
        ++told;
    };
    CHECK(agent->sign(key, "data", Clock::now() + 1100ms, count).answer == Answer::TimedOut);
    CHECK(told == 1);
    // A late answer could not be matched to its request, so the agent is not used again.
    CHECK(agent->sign(key, "data", Clock::now() + 1h, count).answer == Answer::Gone);
}

TEST_CASE("ssh agent: a malformed answer closes the agent's connection") {
    const auto key = PrivateKey::generate_ed25519().public_key();
    for (const std::string& nonsense :
         {"\xFF\xFF\xFF\xFF"s, "\0\0\0\0"s, "\0\0\0\x01\x0C"s, "\0\0\0\x05\x0E\0\0\0\x63"s}) {
        const FalseAgent liar(nonsense);
        auto agent = SshAgent::connect(liar.path());
        REQUIRE(agent);
        CHECK(agent->sign(key, "data", Clock::now() + 5s, nullptr).answer == Answer::Gone);
    }
    const FalseAgent liar("\0\0\0\x05\x0C\xFF\xFF\xFF\xFF"s);
    auto agent = SshAgent::connect(liar.path());
    REQUIRE(agent);
    CHECK(agent->identities(Clock::now() + 5s).empty());
}

TEST_CASE("ssh agent: a wrong signature counts as a refusal") {
    const PrivateKey key = PrivateKey::generate_ed25519();
    const std::string answer =
        WireWriter().string(WireWriter().u8(14).string(key.sign("something else")).bytes()).take();
    const FalseAgent liar(answer);
    auto agent = SshAgent::connect(liar.path());
    REQUIRE(agent);
    CHECK(agent->sign(key.public_key(), "data", Clock::now() + 5s, nullptr).answer ==
          Answer::Refused);
}

TEST_CASE("ssh agent: certificates are left out, and FIDO keys come last") {
    const std::string plain = PrivateKey::generate_ed25519().public_key().blob();
    const std::string fido = WireWriter()
                                 .string("sk-ssh-ed25519@openssh.com")
                                 .string(plain.substr(plain.size() - 32))
                                 .string("ssh:")
                                 .take();
    const std::string certificate =
        WireWriter().string("ssh-ed25519-cert-v01@openssh.com").string("…").take();
    const std::string answer = WireWriter()
                                   .u8(12)
                                   .u32(3)
                                   .string(fido)
                                   .string("token")
                                   .string(certificate)
                                   .string("certificate")
                                   .string(plain)
                                   .string("plain")
                                   .take();
    const auto identities = frsh::parse_agent_identities(answer);
    REQUIRE(identities.size() == 2);
    CHECK(identities[0].comment == "plain");
    CHECK(identities[1].comment == "token");
    CHECK_THROWS_AS(static_cast<void>(frsh::parse_agent_identities(answer + "x")), ProtocolError);
}
