// frshd: reads its command line, listens, and in each forked child becomes a session.
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/net/socket.hpp"
#include "common/sys/startup.hpp"
#include "server/access.hpp"
#include "server/listener.hpp"
#include "server/options.hpp"
#include "server/session.hpp"

#include <fcntl.h>
#include <unistd.h>

namespace frsh {
namespace {

// Takes a standard stream for the connection and leaves /dev/null in its place, so that nothing a
// library might print ever gets between two frames.
Fd take_over(int standard_stream) {
    Fd fd(check(::fcntl(standard_stream, F_DUPFD_CLOEXEC, 3), "dup"));
    const Fd null(check(::open("/dev/null", O_RDWR | O_CLOEXEC), "open /dev/null"));
    check(::dup2(null.get(), standard_stream), "dup2");
    return fd;
}

SessionSettings settings_for(BaseEnvironment environment, std::string mark) {
    SessionSettings settings;
    settings.launch.user = current_user();
    settings.launch.env = base_environment(settings.launch.user, environment);
    settings.launch.session_mark = std::move(mark);
    return settings;
}

int serve_stdio() {
    Fd input = take_over(STDIN_FILENO);
    Fd output = take_over(STDOUT_FILENO);
    const std::string mark = "FRSH_SESSION=stdio-" + std::to_string(::getpid());
    return run_session(std::make_unique<FdTransport>(std::move(input), std::move(output)),
                       settings_for(BaseEnvironment::Inherited, mark));
}

int serve_connection(Listener::Connection connection) {
    const int socket = connection.socket.get();
    SessionSettings settings = settings_for(BaseEnvironment::Clean, connection.mark);
    if (connection.kind == Listener::Kind::Plaintext) {
        tune_tcp(socket);
        settings.refusal = [socket] { return refuse_plaintext_peer(socket); };
    } else {
        settings.refusal = [socket] { return refuse_unix_peer(socket); };
    }
    auto admitted = std::make_shared<Fd>(std::move(connection.admitted));
    settings.admitted = [admitted] {
        (void)write_some(admitted->get(), "+");
        admitted->close();
    };
    return run_session(std::make_unique<FdTransport>(std::move(connection.socket)),
                       std::move(settings));
}

std::optional<Listener::Connection> listen_and_serve(const ServerOptions& options) {
    Listener listener;
    for (const std::string& where : options.listen)
        listener.listen_on_tcp(where);
    if (options.unix_path) {
        std::string path = *options.unix_path;
        if (path.empty()) {
            const std::string folder = runtime_folder();
            make_private_folder(folder);
            path = folder + "/frshd.sock";
        }
        listener.listen_on_unix(path);
    }
    return listener.serve();
}

int run(int argc, char** argv) {
    secure_standard_streams();
    log::set_program("frshd");
    int status = 0;
    const auto options = parse_server_options(argc, argv, status);
    if (!options) return status;
    if (options->verbosity > 0) {
        log::set_level(options->verbosity > 1 ? log::Level::Debug : log::Level::Info);
    }
    if (options->stdio) return serve_stdio();
    // By here the listener and all it held is gone from a forked child's memory.
    auto connection = listen_and_serve(*options);
    return connection ? serve_connection(std::move(*connection)) : 0;
}

}  // namespace
}  // namespace frsh

int main(int argc, char** argv) {
    try {
        return frsh::run(argc, argv);
    } catch (const std::exception& error) {
        frsh::log::error(error.what());
        return 255;
    }
}
