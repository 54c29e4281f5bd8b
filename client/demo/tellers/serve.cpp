#include "client/demo/tellers/serve.hpp"

#include "client/demo/code.hpp"
#include "client/demo/drawing/style.hpp"
#include "client/demo/lessons/lessons.hpp"
#include "client/demo/sheets/sheets.hpp"
#include "client/demo/tellers/class_room.hpp"
#include "common/base/error.hpp"
#include "common/base/hex.hpp"
#include "common/sys/fd.hpp"
#include "common/sys/process.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sys/random.h>
#include <unistd.h>

#ifdef FRSH_DEMO_SERVE
#include <httplib.h>
#endif

namespace frsh::demo {

#ifndef FRSH_DEMO_SERVE

int serve(Language, Audience, Size) {
    throw UserError("serve: built without cpp-httplib; install libcpp-httplib-dev and build again");
}

#else

namespace {

constexpr int kMostLessons = 8;  // Lessons that run at the same time.

std::string new_token() {
    std::array<unsigned char, 16> bytes{};
    check(static_cast<int>(::getrandom(bytes.data(), bytes.size(), 0)), "getrandom");
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    for (const unsigned char byte : bytes) {
        text += kDigits[byte >> 4];
        text += kDigits[byte & 15];
    }
    return text;
}

// Returns whether both are equal, in a time that does not depend on where they differ.
bool is_same(std::string_view one, std::string_view other) {
    if (one.size() != other.size()) return false;
    unsigned difference = 0;
    for (std::size_t i = 0; i < one.size(); ++i)
        difference |= static_cast<unsigned>(one[i] ^ other[i]);
    return difference == 0;
}

std::string web_file(std::string_view name) {
    for (const CodeFile& file : code_files()) {
        if (file.lesson == "web" && file.name == name) return std::string(file.text);
    }
    return {};
}

std::string with_values(std::string text, const std::string& token, Language language,
                        const std::string& role) {
    const std::array<std::pair<std::string_view, std::string>, 3> values = {
        {{"{{token}}", token},
         {"{{lang}}", language == Language::Chinese ? "zh" : "en"},
         {"{{role}}", role}}};
    for (const auto& [key, value] : values) {
        for (std::size_t at = 0; (at = text.find(key)) != std::string::npos;)
            text.replace(at, key.size(), value);
    }
    return text;
}

// Returns the command line of the process that runs what the page requested. Empty: bad request.
std::vector<std::string> words_of(const httplib::Request& request) {
    const std::string lesson = request.get_param_value("lesson");
    const auto& all = lessons();
    const bool is_known =
        lesson == "try" ||
        std::any_of(all.begin(), all.end(), [&](const auto& one) { return lesson == one.name; }) ||
        std::any_of(sheets().begin(), sheets().end(),
                    [&](const auto& one) { return lesson == one.name; });
    if (!is_known) return {};
    const bool is_chinese = request.get_param_value("lang") == "zh";
    std::vector<std::string> words = {"frsh-demo", lesson, "--events", "--lang",
                                      is_chinese ? "zh" : "en"};
    if (lesson != "try") {
        words.insert(words.end(), {"--code", "py"});
        return words;
    }
    // The program checks each value as it does on a command line.
    for (const char* const name : {"send", "recv", "gap", "delay", "sndbuf", "framing"}) {
        if (!request.has_param(name)) continue;
        words.push_back(std::string("--") + name + "=" + request.get_param_value(name));
    }
    for (const char* const name : {"nodelay", "cork", "delayed-ack"}) {
        if (request.get_param_value(name) == "1") words.push_back(std::string("--") + name);
    }
    return words;
}

// A lesson in a process of its own. The destructor ends it.
class Running {
  public:
    Running(const std::vector<std::string>& words, std::atomic<int>& count) : count_(count) {
        ++count_;
        Pipe pipe = make_pipe();
        SpawnRequest request;
        request.programs = {std::filesystem::read_symlink("/proc/self/exe").string()};
        request.argv = words;
        for (char** entry = ::environ; *entry != nullptr; ++entry)
            request.env.emplace_back(*entry);
        request.stdio = {-1, pipe.write_end.get(), STDERR_FILENO};
        const auto outcome = spawn(request);
        if (const auto* const started = std::get_if<Spawned>(&outcome)) pid_ = started->pid;
        output_ = std::move(pipe.read_end);
    }
    ~Running() {
        if (pid_ > 0) {
            ::kill(-pid_, SIGKILL);
            static_cast<void>(wait_for(pid_));
        }
        --count_;
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

    // Returns the next line of the lesson without its newline. Blocks. Empty: the lesson has ended.
    std::string next_line() {
        for (;;) {
            const std::size_t end = waiting_.find('\n');
            if (end != std::string::npos) {
                std::string line = waiting_.substr(0, end);
                waiting_.erase(0, end + 1);
                return line;
            }
            char buffer[16 * 1024];
            const IoResult got = read_some(output_.get(), buffer, sizeof buffer);
            if (got.status != IoResult::Status::Done) return {};
            waiting_.append(buffer, got.bytes);
        }
    }

  private:
    std::atomic<int>& count_;
    pid_t pid_ = -1;
    Fd output_;
    std::string waiting_;
};

void answer_events(const httplib::Request& request, httplib::Response& response,
                   std::atomic<int>& count, ClassRoom& room) {
    const std::vector<std::string> words = words_of(request);
    if (words.empty() || count >= kMostLessons) {
        response.status = words.empty() ? 400 : 503;
        return;
    }
    const auto running = std::make_shared<Running>(words, count);
    const bool is_shared = words[1] != "try";
    const std::size_t run = is_shared ? room.begin(words[1]) : 0;
    response.set_chunked_content_provider(
        "text/event-stream", [running, run, &room](std::size_t, httplib::DataSink& sink) {
            const std::string line = running->next_line();
            const std::string event =
                line.empty() ? "event: over\ndata: {}\n\n" : "data: " + line + "\n\n";
            if (!line.empty() && run != 0) room.add(run, line);
            if (!sink.write(event.data(), event.size())) return false;
            if (line.empty()) sink.done();
            return true;
        });
}

struct Tokens {
    std::string lecturer;  // May start lessons and open results.
    std::string follower;  // Empty without a class. May only look.
};

// Returns whether the name is an IPv4 address. A page elsewhere that has its own name resolve to
// this machine sends that name.
bool is_address(const std::string& name) {
    in_addr parsed{};
    return ::inet_pton(AF_INET, name.c_str(), &parsed) == 1;
}

bool is_for_followers(const std::string& path) {
    return path == "/" || path == "/page.js" || path == "/player.js" || path == "/page.css" ||
           path == "/request" || path == "/follow";
}

// Refuses what does not come from a printed address.
httplib::Server::HandlerResponse guard(const httplib::Request& request, httplib::Response& response,
                                       const Tokens& tokens, int port) {
    const std::string host = request.get_header_value("Host");
    const std::string number = std::string(":").append(std::to_string(port));
    const bool has_number = host.ends_with(number);
    const std::string name = has_number ? host.substr(0, host.size() - number.size()) : host;
    const bool is_class = !tokens.follower.empty();
    const bool is_ours = has_number && (name == "127.0.0.1" || name == "localhost" ||
                                        (is_class && is_address(name)));
    const bool is_foreign =
        request.has_header("Origin") && request.get_header_value("Origin") != "http://" + host;
    const std::string token = request.get_param_value("token");
    const bool may_drive = is_same(token, tokens.lecturer);
    const bool may_follow =
        is_class && is_same(token, tokens.follower) && is_for_followers(request.path);
    if (is_ours && !is_foreign && (may_drive || may_follow))
        return httplib::Server::HandlerResponse::Unhandled;
    response.status = 403;
    response.set_content("frsh-demo: use the address that frsh-demo serve has printed\n",
                         "text/plain");
    return httplib::Server::HandlerResponse::Handled;
}

// Returns a number of the query, or 0.
std::size_t number_of(const httplib::Request& request, const char* name) {
    return std::strtoul(request.get_param_value(name).c_str(), nullptr, 10);
}

// Serves the page and its two files, with the role that the token gives.
void serve_page(httplib::Server& server, const Tokens& tokens, Language language) {
    server.Get("/", [&tokens, language](const httplib::Request& request, auto& response) {
        const std::string token = request.get_param_value("token");
        response.set_content(with_values(web_file("page.html"), token, language,
                                         is_same(token, tokens.lecturer) ? "drive" : "follow"),
                             "text/html; charset=utf-8");
    });
    for (const char* const name : {"page.js", "player.js"}) {
        server.Get(std::string("/") + name, [name](const auto&, auto& response) {
            response.set_content(web_file(name), "text/javascript; charset=utf-8");
        });
    }
    server.Get("/page.css", [](const auto&, auto& response) {
        response.set_content(kStyle + web_file("page.css"), "text/css; charset=utf-8");
    });
}

// Returns an address of this machine that others in the room can reach; loopback if there is none.
std::string own_address() {
    std::string found = "127.0.0.1";
    ifaddrs* all = nullptr;
    if (::getifaddrs(&all) != 0) return found;
    for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
        if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET) continue;
        if ((one->ifa_flags & IFF_LOOPBACK) != 0 || (one->ifa_flags & IFF_UP) == 0) continue;
        std::array<char, INET_ADDRSTRLEN> text{};
        const auto* const address = reinterpret_cast<const sockaddr_in*>(one->ifa_addr);
        ::inet_ntop(AF_INET, &address->sin_addr, text.data(), text.size());
        found = text.data();
        break;
    }
    ::freeifaddrs(all);
    return found;
}

}  // namespace

int serve(Language language, Audience audience, Size size) {
    const bool is_class = audience == Audience::Class;
    const Tokens tokens{new_token(), is_class ? new_token() : std::string()};
    ClassRoom room;
    httplib::Server server;
    std::atomic<int> count{0};
    const std::string host = is_class ? "0.0.0.0" : "127.0.0.1";
    const int port = server.bind_to_any_port(host);
    if (port <= 0) throw UserError("serve: no free port on " + host + "; end another server");
    server.set_default_headers(
        {{"Content-Security-Policy",
          "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
          "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
         {"X-Content-Type-Options", "nosniff"},
         {"Referrer-Policy", "no-referrer"},
         {"Cache-Control", "no-store"}});
    server.set_pre_routing_handler([&](const auto& request, auto& response) {
        return guard(request, response, tokens, port);
    });
    serve_page(server, tokens, language);
    server.Get("/request", [&](const httplib::Request& request, auto& response) {
        std::string text = request.method + " " + request.path + " HTTP/1.1\n";
        for (const auto& [name, value] : request.headers) {
            if (name != "REMOTE_ADDR" && name != "REMOTE_PORT" && name != "LOCAL_ADDR" &&
                name != "LOCAL_PORT")
                text.append(name).append(": ").append(value).append("\n");
        }
        response.set_content(text, "text/plain; charset=utf-8");
    });
    server.Get("/events", [&](const auto& request, auto& response) {
        answer_events(request, response, count, room);
    });
    server.Get("/follow", [&](const httplib::Request& request, auto& response) {
        response.set_content(room.state(number_of(request, "run"), number_of(request, "since")),
                             "application/json");
    });
    server.Get("/open", [&](const httplib::Request& request, auto& response) {
        room.open(number_of(request, "count"));
        response.set_content("{}", "application/json");
    });
    // Not by operator+: GCC 12 takes an insertion at the front for an overlapping copy
    // (-Wrestrict).
    std::string place = ":";
    place.append(std::to_string(port)).append("/?token=");
    const std::string present = size == Size::Projector ? "&present=1" : "";
    std::string lines =
        std::string("http://127.0.0.1").append(place) + tokens.lecturer + present + "\n";
    if (is_class) lines += "http://" + own_address() + place + tokens.follower + "\n";
    write_all(STDOUT_FILENO, lines);
    return server.listen_after_bind() ? 0 : 1;
}

#endif

}  // namespace frsh::demo
