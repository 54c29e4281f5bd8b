#include "client/connection/tls_login.hpp"

#include "client/connection/child_tree.hpp"
#include "client/connection/hop_report.hpp"
#include "client/connection/host_trust.hpp"
#include "client/connection/identities.hpp"
#include "client/connection/key_memory.hpp"
#include "client/connection/stage_error.hpp"
#include "client/connection/via.hpp"
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/keys/proof.hpp"
#include "common/net/socket.hpp"
#include "common/net/tls.hpp"
#include "common/proto/message.hpp"
#include "common/sys/user.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <poll.h>
#include <sys/socket.h>

namespace frsh {
namespace {

using namespace std::chrono_literals;
using Handshake = TlsTransport::Handshake;
using Time = EventLoop::Time;

// The server waits this long, too, once it has received `auth_pending`.
constexpr auto kUserQuestionLimit = 120s;
constexpr auto kPauseBetweenAttempts = 1s;
// The server gets at least this long to answer the login.
constexpr auto kMinLoginTime = 1s;

constexpr const char* kNoAnswer = " has not answered";
// The probable cause of an answer that makes no sense.
constexpr const char* kProbablyAnother =
    "; probably another program, a proxy or another version of frshd answers there";

// One attempt to reach the server and to prepare the login.
class TlsDialer {
  public:
    enum class Purpose { Login, LearnHostKey };

    TlsDialer(const TlsRoute& route, const WaitLimit& limit, Purpose purpose)
        : route_(route), limit_(limit), purpose_(purpose), reporter_(route.hop_report) {}

    // Returns nothing if the host is unknown: the user must be asked about host_key().
    std::optional<Connection> run() {
        reporter_.at(target_name() + kNoAnswer);
        connect();
        try {
            return log_in();
        } catch (const ProtocolError& error) {
            check_hops();
            throw UserError(target_name() + ": " + error.what() + kProbablyAnother);
        } catch (const TlsError& error) {
            check_hops();
            throw UserError(target_name() + through() + ": " + error.what());
        }
    }

    [[nodiscard]] const PublicKey& host_key() const { return host_proof_->key; }

  private:
    std::optional<Connection> log_in() {
        shake_hands();
        read_greeting();
        const Trust trust = at_stage("trust", [this] {
            return judge_host(route_.host_key, route_.target, is_loopback_, *host_proof_);
        });
        if (trust == Trust::Unknown) return std::nullopt;
        Connection connection;
        if (purpose_ == Purpose::Login) {
            connection.login = at_stage("login", [&] { return prepare_login(trust); });
            connection.hello_deadline =
                std::max(limit_.deadline, EventLoop::Clock::now() + kMinLoginTime);
            auto [group, cipher] = tls_->parameters();
            connection.tls = TlsRecord{std::move(group), std::move(cipher),
                                       host_proof_->key.fingerprint(), connection.login->key};
        }
        connection.tls_context = std::move(context_);
        connection.transport = std::move(tls_);
        connection.keep_alive = route_.keep_alive;
        connection.child = proxy_.take();
        return connection;
    }

    void connect() {
        if (route_.proxy_command || route_.jump) return connect_by_command();
        for (unsigned left = route_.connection_attempts;; --left) {
            try {
                return connect_to_any();
            } catch (const SysError& error) {
                const Time again = EventLoop::Clock::now() + kPauseBetweenAttempts;
                if (left == 1 || again >= limit_.deadline) throw;
                log::info(std::string(error.what()) + "; trying again");
                (void)wait_for_events(-1, 0, {again, limit_.cancel_fd});
            }
        }
    }

    void connect_to_any() {
        std::optional<SysError> last;
        const auto addresses = at_stage("resolve", [this] {
            return look_up(route_.target.where, socket_family(route_.family), limit_);
        });
        for (const Address& address : addresses) {
            try {
                Fd socket = begin_connect_from_own(address);
                // The TLS context is made while the packets of the TCP handshake are under way.
                if (!context_) context_ = std::make_unique<TlsContext>(TlsContext::Side::Client);
                tls_ = std::make_unique<TlsTransport>(*context_);
                finish_connect(socket.get(), address, limit_);
                tune_tcp(socket.get(), route_.keep_alive);
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
        if (route_.bind_address.empty()) return begin_connect(address);
        const HostPort own{route_.bind_address, 0};
        return begin_connect(address, &look_up(own, address.family(), limit_).front());
    }

    void connect_by_command() {
        Via via = route_.jump ? start_jump(*route_.jump, limit_.deadline)
                              : start_via(*route_.proxy_command);
        if (via.reports.is_open()) {
            hops_.emplace(std::move(via.reports), target_name() + through(), reporter_,
                          target_name() + kNoAnswer);
        }
        context_ = std::make_unique<TlsContext>(TlsContext::Side::Client);
        tls_ = std::make_unique<TlsTransport>(std::move(via.socket), *context_);
        proxy_.hold(std::move(via.child));
    }

    void wait(short events) {
        const int fd = tls_->read_fd();
        if (hops_ ? hops_->wait(fd, events, limit_) : wait_for_events(fd, events, limit_)) return;
        const bool is_at_hop = hops_ && !hops_->pending().empty();
        throw UserError(target_name() + through() + ": " +
                        (is_at_hop ? hops_->pending() : "reached, but no answer") +
                        " in time (--connect-timeout)");
    }

    // Throws the reason if a hop has ended the connection.
    void check_hops() {
        if (hops_) hops_->check(limit_);
    }

    void shake_hands() {
        for (;;) {
            switch (tls_->handshake()) {
                case Handshake::Done:
                    log::info(target_name() + ": " + tls_->description());
                    return;
                case Handshake::WantsRead:
                    wait(POLLIN);
                    break;
                case Handshake::WantsWrite:
                    wait(POLLOUT);
                    break;
                case Handshake::Refused:
                    // The answer is unencrypted and proves nothing. next_message() throws its text.
                    next_message();
                    throw ProtocolError("an unencrypted answer that is not an error message");
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
                    target_name() + ": the server says: " + escape_controls(error->message);
                if (error->retry_after) {
                    words += " (try again in " + std::to_string(*error->retry_after) + " s)";
                }
                throw StageError(stage_of_refusal(*error, false), words, error->retry_after);
            }
            std::size_t size = 0;
            char* const room = decoder_.frames().room(16384, size);
            const IoResult got = tls_->read(room, size);
            if (got.status == IoResult::Status::EndOfFile) {
                check_hops();
                throw UserError(target_name() + through() +
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
        if (hello == nullptr) throw ProtocolError("the first message was not hello");
        if (hello->proto != kProtocolVersion) {
            throw UserError(target_name() + ": the server speaks protocol " +
                            std::to_string(hello->proto) + ", this client " +
                            std::to_string(kProtocolVersion));
        }
        if (hello->nonce.size() != kNonceSize) throw ProtocolError("a hello without a nonce");
        channel_ = {tls_->exporter(), hello->nonce};
        const Message second = next_message();
        const auto* const proof = std::get_if<msg::Proof>(&second);
        if (proof == nullptr) throw ProtocolError("the second message was not proof");
        host_proof_ = parse_host_proof(proof->payload);
        if (!is_proven(*host_proof_, channel_)) {
            throw StageError("trust",
                             target_name() +
                                 ": the server's proof does not belong to this connection: the "
                                 "connection may be intercepted");
        }
    }

    void send(const Message& message) {
        std::string bytes;
        encode(bytes, message);
        std::string_view rest = bytes;
        while (!rest.empty() || tls_->has_unsent()) {
            const IoResult put = tls_->write(rest);
            if (put.status == IoResult::Status::EndOfFile) {
                check_hops();
                throw UserError(target_name() + ": the server closed the connection");
            }
            if (put.status == IoResult::Status::Done) rest.remove_prefix(put.bytes);
            if (put.status == IoResult::Status::WouldBlock || tls_->has_unsent()) wait(POLLOUT);
        }
    }

    struct Choice {
        std::size_t index;  // The index in Identities::candidates().
        WasRecalled was_recalled = WasRecalled::No;
    };

    // Chooses among the candidates `left`: the only one, the key of the last login, or the one that
    // the server names in answer to a probe. Returns nothing if the server accepts none of them.
    // Removes from `left` the keys that the server does not accept.
    std::optional<Choice> choose(const Identities& identities, std::vector<std::size_t>& left) {
        if (left.size() == 1) return Choice{left[0]};
        const std::string recalled = recall_key(host_name(), route_.target.user);
        for (const std::size_t index : left) {
            if (identities.candidates()[index].credential().fingerprint() == recalled) {
                return Choice{index, WasRecalled::Yes};
            }
        }
        while (!left.empty()) {
            // No probes are left: try one key after another, until one can sign.
            if (probes_++ >= kMaxProbeRounds) return Choice{left[0]};
            if (const auto choice = probe_next(identities, left)) return choice;
            left.erase(left.begin(), left.begin() + offered_);
        }
        return std::nullopt;
    }

    // Offers the first keys of `left`, as many as one probe holds. Returns the one that the server
    // names; nothing if it accepts none of them.
    std::optional<Choice> probe_next(const Identities& identities,
                                     const std::vector<std::size_t>& left) {
        const UserProbe probe{route_.target.user, identities.first_of(left)};
        offered_ = static_cast<std::ptrdiff_t>(probe.keys.size());
        send(msg::Probe{encode(probe)});
        const Message answer = next_message();
        const auto* const acceptable = std::get_if<msg::Acceptable>(&answer);
        if (acceptable == nullptr) throw ProtocolError("the answer to a probe was not acceptable");
        if (!acceptable->key) return std::nullopt;
        if (*acceptable->key >= probe.keys.size())
            throw ProtocolError("the server accepts a key that was not offered");
        return Choice{left[*acceptable->key]};
    }

    Login prepare_login(Trust trust) {
        const std::string& user = route_.target.user;
        const bool is_own_server = trust == Trust::Pinned && user == current_user().name;
        Identities identities(route_.keys, is_own_server, limit_.cancel_fd);
        std::vector<std::size_t> left;
        for (std::size_t i = 0; i < identities.candidates().size(); ++i)
            left.push_back(i);
        const std::string message = user_proof_message(channel_, host_proof_->key, user);
        while (!left.empty()) {
            const auto choice = choose(identities, left);
            if (!choice) break;
            const auto signature = identities.sign(choice->index, kUserNamespace, message, [this] {
                send(msg::AuthPending{});
                reporter_.asking();
                limit_.deadline = EventLoop::Clock::now() + kUserQuestionLimit;
            });
            reporter_.at(target_name() + kNoAnswer);
            if (!signature) {
                std::erase(left, choice->index);
                continue;
            }
            const Identities::Candidate& chosen = identities.candidates()[choice->index];
            Login login;
            login.auth =
                msg::Auth{encode(UserProof{user, chosen.key, *signature, chosen.certificate})};
            login.name = target_name();
            login.tried = "tried " + describe(chosen);
            login.key = chosen.key.fingerprint();
            if (identities.candidates().size() > 1) {
                remember_result(host_name(), user, chosen.credential().fingerprint(),
                                choice->was_recalled, login);
            }
            return login;
        }
        throw UserError(target_name() + ": Permission denied (publickey): no key was accepted; " +
                        describe_all(identities));
    }

    [[nodiscard]] const std::string& target_name() const { return route_.target.name; }

    // Returns the way, for a message about a server that cannot be reached.
    [[nodiscard]] std::string through() const {
        return route_.jump ? " (through " + route_.jump->name + ")" : "";
    }

    [[nodiscard]] std::string host_name() const {
        const HostPort& known_as = route_.target.known_as;
        return known_host_name(known_as.host, static_cast<std::uint16_t>(known_as.port));
    }

    const TlsRoute& route_;
    WaitLimit limit_;
    Purpose purpose_;
    ChildTree proxy_;
    HopReporter reporter_;
    std::optional<HopReports> hops_;  // If another frsh leads through the jump hosts.
    bool is_loopback_ = false;
    int probes_ = 0;
    std::ptrdiff_t offered_ = 0;  // Keys in the last probe.
    std::unique_ptr<TlsContext> context_;
    std::unique_ptr<TlsTransport> tls_;  // After the context, which it uses.
    MessageDecoder decoder_{kStrangerLimits};
    ProofContext channel_;  // The channel binding and the nonce that both proofs sign.
    std::optional<HostProof> host_proof_;
};

Connection dial(const TlsRoute& route, const WaitLimit& limit, TlsDialer::Purpose purpose) {
    const Time started_at = EventLoop::Clock::now();
    std::optional<PublicKey> unknown;
    {
        TlsDialer dialer(route, limit, purpose);
        if (auto connection = dialer.run()) return std::move(*connection);
        unknown = dialer.host_key();
    }
    // The connection is closed while the user is asked: the server need not wait for the answer.
    HopReporter(route.hop_report).asking();
    at_stage("trust", [&] { ask_about(route.host_key, route.target, *unknown, limit.cancel_fd); });
    // The second attempt gets as much time as the first.
    WaitLimit again = limit;
    if (again.deadline != EventLoop::kNever) {
        again.deadline += EventLoop::Clock::now() - started_at;
    }
    if (auto connection = TlsDialer(route, again, purpose).run()) return std::move(*connection);
    throw UserError(route.target.name + ": has another key now than a moment ago");
}

}  // namespace

Connection connect_tls(const TlsRoute& route, const WaitLimit& limit) {
    return dial(route, limit, TlsDialer::Purpose::Login);
}

void trust_host(const ClientOptions& options) {
    const TlsRoute route = resolve_tls_route(options);
    const auto timeout = connect_timeout_of(options.settings);
    const Time deadline =
        timeout.count() == 0 ? EventLoop::kNever : EventLoop::Clock::now() + timeout;
    (void)dial(route, deadline, TlsDialer::Purpose::LearnHostKey);
}

}  // namespace frsh
