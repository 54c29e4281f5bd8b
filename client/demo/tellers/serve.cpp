#include "client/demo/tellers/serve.hpp"

#include "client/demo/code.hpp"
#include "client/demo/drawing/style.hpp"
#include "client/demo/lessons/lessons.hpp"
#include "client/demo/sheets/sheets.hpp"
#include "common/base/error.hpp"
#include "common/base/hex.hpp"
#include "common/sys/fd.hpp"
#include "common/sys/process.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <sys/random.h>
#include <unistd.h>

#ifdef FRSH_DEMO_SERVE
#include <httplib.h>
#endif

namespace frsh::demo {

#ifndef FRSH_DEMO_SERVE

int serve(Language) {
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

std::string with_values(std::string text, const std::string& token, Language language) {
    const std::array<std::pair<std::string_view, std::string>, 2> values = {
        {{"{{token}}", token}, {"{{lang}}", language == Language::Chinese ? "zh" : "en"}}};
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
                   std::atomic<int>& count) {
    const std::vector<std::string> words = words_of(request);
    if (words.empty() || count >= kMostLessons) {
        response.status = words.empty() ? 400 : 503;
        return;
    }
    const auto running = std::make_shared<Running>(words, count);
    response.set_chunked_content_provider(
        "text/event-stream", [running](std::size_t, httplib::DataSink& sink) {
            const std::string line = running->next_line();
            const std::string event =
                line.empty() ? "event: over\ndata: {}\n\n" : "data: " + line + "\n\n";
            if (!sink.write(event.data(), event.size())) return false;
            if (line.empty()) sink.done();
            return true;
        });
}

// Refuses what does not come from the printed address.
httplib::Server::HandlerResponse guard(const httplib::Request& request, httplib::Response& response,
                                       const std::string& token, int port) {
    const std::string host = request.get_header_value("Host");
    const std::string number = std::string(":").append(std::to_string(port));
    const bool is_ours = host == "127.0.0.1" + number || host == "localhost" + number;
    const bool is_foreign =
        request.has_header("Origin") && request.get_header_value("Origin") != "http://" + host;
    if (is_ours && !is_foreign && is_same(request.get_param_value("token"), token))
        return httplib::Server::HandlerResponse::Unhandled;
    response.status = 403;
    response.set_content("frsh-demo: use the address that frsh-demo serve has printed\n",
                         "text/plain");
    return httplib::Server::HandlerResponse::Handled;
}

}  // namespace

int serve(Language language) {
    const std::string token = new_token();
    httplib::Server server;
    std::atomic<int> count{0};
    const int port = server.bind_to_any_port("127.0.0.1");
    if (port <= 0) throw UserError("serve: no port on 127.0.0.1 can be had");
    server.set_default_headers(
        {{"Content-Security-Policy",
          "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
          "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
         {"X-Content-Type-Options", "nosniff"},
         {"Referrer-Policy", "no-referrer"},
         {"Cache-Control", "no-store"}});
    server.set_pre_routing_handler(
        [&](const auto& request, auto& response) { return guard(request, response, token, port); });
    server.Get("/", [&](const auto&, auto& response) {
        response.set_content(with_values(web_file("page.html"), token, language),
                             "text/html; charset=utf-8");
    });
    server.Get("/page.js", [&](const auto&, auto& response) {
        response.set_content(web_file("page.js"), "text/javascript; charset=utf-8");
    });
    server.Get("/page.css", [&](const auto&, auto& response) {
        response.set_content(kStyle + web_file("page.css"), "text/css; charset=utf-8");
    });
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
        answer_events(request, response, count);
    });
    write_all(STDOUT_FILENO,
              "http://127.0.0.1:" + std::to_string(port) + "/?token=" + token + "\n");
    return server.listen_after_bind() ? 0 : 1;
}

#endif

}  // namespace frsh::demo
