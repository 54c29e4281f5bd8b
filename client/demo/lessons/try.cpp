#include "client/demo/lessons/try.hpp"

#include "client/demo/stage/actor.hpp"
#include "client/demo/stage/kernel_view.hpp"
#include "client/demo/stage/loopback_tap.hpp"
#include "common/base/error.hpp"
#include "common/base/text.hpp"

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <time.h>

namespace frsh::demo {
namespace {

constexpr std::size_t kMostMessages = 16;
constexpr std::size_t kLargestMessage = 65536;
constexpr std::size_t kLengthBytes = 4;

// Waits as long as the learner has asked for. It is the thing to be tried, not a way to wait.
void pause_for(unsigned milliseconds) {
    const timespec time{static_cast<time_t>(milliseconds / 1000),
                        static_cast<long>(milliseconds % 1000) * 1'000'000};
    ::nanosleep(&time, nullptr);
}

std::string four_bytes(std::size_t size) {
    std::string text;
    for (int shift = 24; shift >= 0; shift -= 8)
        text += static_cast<char>(size >> shift & 0xFF);
    return text;
}

std::vector<std::string> messages_of(const Trial& trial) {
    std::vector<std::string> messages;
    for (std::size_t i = 0; i < trial.sizes.size(); ++i) {
        std::string body;
        for (std::size_t at = 0; at < trial.sizes[i]; ++at)
            body += static_cast<char>((at == 0 ? 'A' : 'a') + static_cast<int>(i));
        const bool is_framed = trial.framing == Trial::Framing::Length;
        messages.push_back((is_framed ? four_bytes(body.size()) : "") + body);
    }
    return messages;
}

void set_up(const Connection& connection, const Trial& trial) {
    const auto set = [](const Fd& fd, int level, int option, int value) {
        check(::setsockopt(fd.get(), level, option, &value, sizeof value), "setsockopt");
    };
    if (trial.has_nodelay) set(connection.client, IPPROTO_TCP, TCP_NODELAY, 1);
    if (trial.has_cork) set(connection.client, IPPROTO_TCP, TCP_CORK, 1);
    if (trial.has_delayed_ack) set(connection.server, IPPROTO_TCP, TCP_QUICKACK, 0);
    if (trial.send_buffer > 0) set(connection.client, SOL_SOCKET, SO_SNDBUF, trial.send_buffer);
}

// Returns how many whole messages the lengths in front take out of the stream.
std::size_t count_framed(std::string_view stream, const std::vector<std::string>& messages) {
    std::size_t right = 0;
    for (const std::string& message : messages) {
        if (!stream.starts_with(message)) break;
        stream.remove_prefix(message.size());
        ++right;
    }
    return right;
}

// When a call moved bytes, by the capture's clock.
struct Moved {
    ssize_t bytes = 0;
    double at = 0;
};

struct Tried {
    std::string got;
    std::vector<Moved> sends;
    std::vector<Moved> recvs;
    std::vector<std::size_t> takes;
    double milliseconds = 0;
    std::uint32_t packets = 0;
    bool was_sent = true;
};

Tried run_trial(const Connection& connection, const Trial& trial,
                const std::vector<std::string>& messages) {
    Tried result;
    std::size_t total = 0;
    for (const std::string& message : messages)
        total += message.size();
    const auto begin = std::chrono::steady_clock::now();
    std::thread sender([&] {
        for (std::size_t i = 0; i < messages.size(); ++i) {
            if (i > 0 && trial.gap > 0) pause_for(trial.gap);
            const std::string& one = messages[i];
            result.sends.push_back({static_cast<ssize_t>(one.size()), capture_clock()});
            result.was_sent =
                result.was_sent && ::send(connection.client.get(), one.data(), one.size(),
                                          MSG_NOSIGNAL) == static_cast<ssize_t>(one.size());
        }
        // The end pushes out what TCP_CORK holds back.
        ::shutdown(connection.client.get(), SHUT_WR);
    });
    if (trial.delay > 0) pause_for(trial.delay);
    std::string buffer(trial.recv_size, '\0');
    while (result.got.size() < total) {
        const ssize_t got = ::recv(connection.server.get(), buffer.data(), buffer.size(), 0);
        if (got <= 0) break;
        result.takes.push_back(static_cast<std::size_t>(got));
        result.recvs.push_back({got, capture_clock()});
        result.got.append(buffer, 0, static_cast<std::size_t>(got));
    }
    sender.join();
    result.milliseconds =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
    result.packets = tcp_view(connection.client.get()).data_segments;
    return result;
}

// Shows the packets, and records when each call moved its bytes.
void record(Story& story, const Connection& connection, const Tried& tried) {
    for (const Moved& one : tried.sends)
        story.sent(connection.client.get(), one.bytes, one.at);
    for (const Moved& one : tried.recvs)
        story.received(connection.server.get(), one.bytes, one.at);
    story.packets();
}

}  // namespace

std::optional<std::vector<std::size_t>> parse_sends(std::string_view text) {
    std::vector<std::size_t> sizes;
    while (!text.empty()) {
        const std::size_t end = text.find(' ');
        std::string_view word = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (word.empty()) continue;
        if (const std::size_t colon = word.find(':'); colon != std::string_view::npos)
            word.remove_prefix(colon + 1);
        const auto size = parse_number(word, 1, kLargestMessage);
        if (!size || sizes.size() == kMostMessages) return std::nullopt;
        sizes.push_back(static_cast<std::size_t>(*size));
    }
    if (sizes.empty()) return std::nullopt;
    return sizes;
}

void lesson_try(Story& story, const Trial& trial) {
    const std::vector<std::string> messages = messages_of(trial);
    const Connection connection = quiet_connection();
    set_up(connection, trial);
    story.watch(connection.client.get());
    const Tried tried = run_trial(connection, trial, messages);
    record(story, connection, tried);
    Ribbon ribbon{{"What each send put in, and what each recv took out",
                   "每次 send 放进去什么，每次 recv 取出来什么"},
                  {},
                  {}};
    std::string sent;
    std::size_t exact = 0;
    for (std::size_t i = 0; i < messages.size(); ++i) {
        ribbon.pieces.push_back(
            {plain(std::string("send ") + static_cast<char>('A' + i)), messages[i], i});
        sent += messages[i];
        exact += i < tried.takes.size() && tried.takes[i] == messages[i].size() ? 1 : 0;
    }
    for (std::size_t i = 0; i < tried.takes.size(); ++i)
        ribbon.takes.push_back({plain("recv " + std::to_string(i + 1)), tried.takes[i]});
    story.tell(ribbon);
    char time[32];
    std::snprintf(time, sizeof time, "%.1f ms", tried.milliseconds);
    const bool is_framed = trial.framing == Trial::Framing::Length;
    const std::size_t whole = is_framed ? count_framed(tried.got, messages) : exact;
    Table table;
    table.head = {{"sends", "send 次数"},
                  {"data packets", "数据报文"},
                  {"recvs", "recv 次数"},
                  {"time", "用时"},
                  {"whole messages", "完整的消息"}};
    table.rows = {{plain(std::to_string(messages.size())), plain(std::to_string(tried.packets)),
                   plain(std::to_string(tried.takes.size())), plain(time),
                   plain(std::to_string(whole) + " / " + std::to_string(messages.size()))}};
    story.tell(table);
    if (!is_framed) {
        story.say({"\"Whole messages\" counts the recvs that returned exactly one message.",
                   "“完整的消息”数的是恰好返回一条消息的 recv。"});
    }
    story.claim(tried.was_sent && tried.got == sent,
                {"All {0} bytes arrived, in order, however they were cut.",
                 "全部 {0} 个字节都按顺序到达，不管怎样切。"},
                sent.size());
    if (is_framed) {
        story.claim(whole == messages.size(),
                    {"The lengths in front took all {0} messages apart again.",
                     "靠前面的长度，{0} 条消息全部重新分开。"},
                    messages.size());
    }
}

}  // namespace frsh::demo
