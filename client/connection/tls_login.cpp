#include "client/connection/tls_login.hpp"

#include "client/cli/target.hpp"
#include "client/connection/host_trust.hpp"
#include "client/connection/identities.hpp"
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/keys/proof.hpp"
#include "common/net/socket.hpp"
#include "common/proto/message.hpp"
#include "common/sys/user.hpp"

#include <algorithm>
#include <thread>

#include <poll.h>

namespace frsh {
namespace {

using namespace std::chrono_literals;
using Handshake = TlsTransport::Handshake;
using Time = EventLoop::Time;

// As long as a server waits for a person.
constexpr auto kPersonTakes = 120s;
// A server answers this many probes on one connection.
constexpr int kProbeRounds = 2;
constexpr auto kBetweenAttempts = 1s;

int family_of(std::optional<AddressFamily> family) {
    return family == AddressFamily::V4   ? AF_INET
           : family == AddressFamily::V6 ? AF_INET6
                                         : AF_UNSPEC;
}

class Dial {
  public:
    Dial(const ClientOptions& options, Target target)
        : options_(options), target_(std::move(target)), deadline_(deadline_of(options)) {}

    // Nothing where the host is unknown: host_key() is what to ask about.
    std::optional<Connection> run() {
        connect();
        shake_hands();
        read_greeting();
        const Trust trust = judge_host(options_, target_, is_loopback_, proof_->key);
        if (trust == Trust::Unknown) return std::nullopt;
        Connection connection;
        if (!options_.trust) prepare_login(trust, connection);
        connection.tls_context = std::move(context_);
        connection.transport = std::move(tls_);
        connection.login_deadline = deadline_;
        connection.keep_alive = keep_alive_;
        connection.child = std::move(proxy_);
        return connection;
    }

    [[nodiscard]] const PublicKey& host_key() const { return proof_->key; }

  private:
    void connect() {
        if (has_proxy()) return connect_by_command();
        for (unsigned left = std::max(1U, settings().connection_attempts.value_or(1));; --left) {
            try {
                return connect_to_any();
            } catch (const SysError& error) {
                const Time again = EventLoop::Clock::now() + kBetweenAttempts;
                if (left == 1 || again >= deadline_) throw;
                log::info(std::string(error.what()) + "; trying again");
                std::this_thread::sleep_until(again);
            }
        }
    }

    [[nodiscard]] const ConnectionSettings& settings() const { return options_.settings; }

    [[nodiscard]] bool has_proxy() const {
        return !settings().proxy_command.empty() && settings().proxy_command != "none";
    }

    void connect_to_any() {
        const int family = family_of(settings().family);
        std::optional<SysError> last;
        for (const Address& address : look_up(target_.where, family, deadline_)) {
            try {
                Fd socket = begin_connect_from_own(address);
                // While packets are under way, and the server makes itself ready.
                if (!context_) context_ = std::make_unique<TlsContext>(TlsContext::Side::Client);
                tls_ = std::make_unique<TlsTransport>(*context_);
                finish_connect(socket.get(), address, deadline_);
                tune_tcp(socket.get(), keep_alive_);
                is_loopback_ = address.is_loopback();
                tls_->attach(std::move(socket));
                return;
            } catch (const SysError& error) {
                last = error;
            }
        }
        throw SysError(*last);
    }

    Fd begin_connect_from_own(const Address& address) {
        if (settings().bind_address.empty()) return begin_connect(address);
        const HostPort own{settings().bind_address, 0};
        return begin_connect(address, &look_up(own, address.family(), deadline_).front());
    }

    void connect_by_command() {
        const auto command = expand_tokens(settings().proxy_command, tokens_of(target_));
        if (!command) {
            throw UserError("ProxyCommand: '" + escape_controls(settings().proxy_command) +
                            "' has a % that means nothing");
        }
        Via via = start_via(*command);
        context_ = std::make_unique<TlsContext>(TlsContext::Side::Client);
        tls_ = std::make_unique<TlsTransport>(std::move(via.socket), *context_);
        proxy_ = std::move(via.child);
    }

    void wait(short events) {
        for (;;) {
            const auto left =
                std::chrono::ceil<std::chrono::milliseconds>(deadline_ - EventLoop::Clock::now());
            if (left.count() <= 0) {
                throw UserError(target_.name + ": reached, but no answer in time " +
                                "(--connect-timeout)");
            }
            pollfd polled{tls_->read_fd(), events, 0};
            const int most = static_cast<int>(std::min<std::int64_t>(left.count(), 1 << 30));
            const int ready = ::poll(&polled, 1, most);
            if (ready == 1) return;
            if (ready == -1 && errno != EINTR) throw SysError("poll");
        }
    }

    Handshake take_step() {
        try {
            return tls_->handshake();
        } catch (const TlsError& error) {
            throw UserError(target_.name + ": " + error.what());
        }
    }

    void shake_hands() {
        for (;;) {
            switch (take_step()) {
                case Handshake::Done:
                    log::info(target_.name + ": " + tls_->description());
                    return;
                case Handshake::WantsRead:
                    wait(POLLIN);
                    break;
                case Handshake::WantsWrite:
                    wait(POLLOUT);
                    break;
                case Handshake::Refused:
                    // In plain text, so that it proves nothing: a hint.
                    next_message();
                    throw ProtocolError("a plain answer that is no refusal");
                case Handshake::Greet:
                    must(false, "only servers greet");
            }
        }
    }

    Message next_message() {
        for (;;) {
            if (auto message = decoder_.next()) {
                const auto* const error = std::get_if<msg::Error>(&*message);
                if (error == nullptr) return std::move(*message);
                std::string words =
                    target_.name + ": the server says: " + escape_controls(error->message);
                if (error->retry_after) {
                    words += " (try again in " + std::to_string(*error->retry_after) + " s)";
                }
                throw UserError(words);
            }
            std::size_t size = 0;
            char* const room = decoder_.frames().room(16384, size);
            const IoResult got = tls_->read(room, size);
            if (got.status == IoResult::Status::EndOfFile) {
                throw UserError(target_.name +
                                ": the server closed the connection before the login");
            }
            if (got.status == IoResult::Status::WouldBlock) {
                wait(POLLIN);
            } else {
                decoder_.frames().commit(got.bytes);
            }
        }
    }

    void read_greeting() {
        const Message first = next_message();
        const auto* const hello = std::get_if<msg::Hello>(&first);
        if (hello == nullptr) throw ProtocolError("the first message was no hello");
        if (hello->proto != kProtocolVersion) {
            throw UserError(target_.name + ": the server speaks protocol " +
                            std::to_string(hello->proto) + ", this client " +
                            std::to_string(kProtocolVersion));
        }
        if (hello->nonce.size() != kNonceSize) throw ProtocolError("a hello without a nonce");
        proof_context_ = {tls_->exporter(), hello->nonce};
        const Message second = next_message();
        const auto* const proof = std::get_if<msg::Proof>(&second);
        if (proof == nullptr) throw ProtocolError("the second message was no proof");
        proof_ = parse_host_proof(proof->payload);
        if (!is_proven(*proof_, proof_context_)) {
            throw UserError(target_.name +
                            ": the server's proof does not belong to this connection: somebody "
                            "may be sitting in between");
        }
    }

    void say(const Message& message) {
        std::string bytes;
        encode(bytes, message);
        std::string_view rest = bytes;
        while (!rest.empty() || tls_->has_unsent()) {
            const IoResult put = tls_->write(rest);
            if (put.status == IoResult::Status::EndOfFile) {
                throw UserError(target_.name + ": the server closed the connection");
            }
            if (put.status == IoResult::Status::Done) rest.remove_prefix(put.bytes);
            if (put.status == IoResult::Status::WouldBlock || tls_->has_unsent()) wait(POLLOUT);
        }
    }

    // Which of these to use: the only one, the one that worked last time, or what the server says.
    std::optional<std::size_t> choose(const Identities& identities,
                                      const std::vector<std::size_t>& left, bool& was_recalled) {
        if (left.size() == 1) return left[0];
        const std::string recalled = recall_key(host_name(), target_.user);
        for (const std::size_t index : left) {
            was_recalled = identities.candidates()[index].key.fingerprint() == recalled;
            if (was_recalled) return index;
        }
        // The server has said enough: from here on one key after another, until one can sign.
        if (probes_++ >= kProbeRounds) return left[0];
        UserProbe probe{target_.user, {}};
        for (const std::size_t index : left) {
            if (probe.keys.size() < kMaxProbes) {
                probe.keys.push_back(identities.candidates()[index].key);
            }
        }
        say(msg::Probe{encode(probe)});
        const Message answer = next_message();
        const auto* const acceptable = std::get_if<msg::Acceptable>(&answer);
        if (acceptable == nullptr) throw ProtocolError("no answer to a probe");
        if (!acceptable->key) return std::nullopt;
        if (*acceptable->key >= probe.keys.size())
            throw ProtocolError("a key that was not offered");
        return left[*acceptable->key];
    }

    void prepare_login(Trust trust, Connection& connection) {
        const bool is_own_server = trust == Trust::Pinned && target_.user == current_user().name;
        Identities identities(settings(), target_, is_own_server);
        std::vector<std::size_t> left;
        for (std::size_t i = 0; i < identities.candidates().size(); ++i)
            left.push_back(i);
        const std::string message = user_proof_message(proof_context_, proof_->key, target_.user);
        while (!left.empty()) {
            bool was_recalled = false;
            const auto index = choose(identities, left, was_recalled);
            if (!index) break;
            const auto signature = identities.sign(*index, kUserNamespace, message, [this] {
                say(msg::AuthPending{});
                deadline_ = EventLoop::Clock::now() + kPersonTakes;
            });
            if (!signature) {
                std::erase(left, *index);
                continue;
            }
            const Identities::Candidate& chosen = identities.candidates()[*index];
            connection.auth = msg::Auth{encode(UserProof{target_.user, chosen.key, *signature})};
            connection.login_name = target_.name;
            connection.login_tried = "tried " + describe(chosen);
            note_for_next_time(identities, chosen, was_recalled, connection);
            deadline_ = std::max(deadline_, EventLoop::Clock::now() + 1s);
            return;
        }
        std::string tried;
        for (const Identities::Candidate& candidate : identities.candidates())
            tried += (tried.empty() ? "" : ", ") + describe(candidate);
        throw UserError(target_.name + ": Permission denied (publickey): no key was accepted; " +
                        (tried.empty() ? "there is none" : "tried: " + tried));
    }

    void note_for_next_time(const Identities& identities, const Identities::Candidate& chosen,
                            bool was_recalled, Connection& connection) const {
        if (identities.candidates().size() == 1) return;
        const std::string host = host_name();
        const std::string user = target_.user;
        if (was_recalled) {
            connection.login_tried += ", which worked last time; run it again to try others";
            connection.on_login_refused = [host, user] { remember_key(host, user, "-"); };
        } else {
            connection.on_login = [host, user, fingerprint = chosen.key.fingerprint()] {
                remember_key(host, user, fingerprint);
            };
        }
    }

    [[nodiscard]] std::string host_name() const {
        return known_host_name(target_.known_as.host,
                               static_cast<std::uint16_t>(target_.known_as.port));
    }

    static std::string describe(const Identities::Candidate& candidate) {
        return candidate.key.type_label() + " " + candidate.key.fingerprint() + " (" +
               escape_controls(candidate.where) + ")";
    }

    const ClientOptions& options_;
    Target target_;
    KeepAlive keep_alive_ = keep_alive_of(options_.settings);
    std::optional<Spawned> proxy_;
    Time deadline_;
    bool is_loopback_ = false;
    int probes_ = 0;
    std::unique_ptr<TlsContext> context_;
    std::unique_ptr<TlsTransport> tls_;  // After the context, which it uses.
    MessageDecoder decoder_{kStrangerLimits};
    ProofContext proof_context_;
    std::optional<HostProof> proof_;
};

}  // namespace

EventLoop::Time deadline_of(const ClientOptions& options) {
    const auto limit = options.settings.connect_timeout.value_or(kDefaultConnectTimeout);
    return limit.count() == 0 ? EventLoop::kNever : EventLoop::Clock::now() + limit;
}

Connection connect_tls(const ClientOptions& options) {
    const Target target = parse_target(options);
    std::optional<PublicKey> unknown;
    {
        Dial attempt(options, target);
        if (auto connection = attempt.run()) return std::move(*connection);
        unknown = attempt.host_key();
    }
    // A person takes time, and no server should wait for that.
    ask_about(options, target, *unknown);
    if (auto connection = Dial(options, target).run()) return std::move(*connection);
    throw UserError(target.name + ": has another key now than a moment ago");
}

}  // namespace frsh
