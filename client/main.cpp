// Reads the command line of frsh and starts the mode that it selects.
#include "client/cli/config.hpp"
#include "client/cli/options.hpp"
#include "client/cli/stdio_spec.hpp"
#include "client/cli/target.hpp"
#include "client/connection/tls_login.hpp"
#include "client/forward/hop_forward.hpp"
#include "client/holder/shared_link.hpp"
#include "client/holder/ssh_control.hpp"
#include "client/modes/batch.hpp"
#include "client/modes/failure.hpp"
#include "client/modes/kept_runs.hpp"
#include "client/modes/link_frames.hpp"
#include "client/modes/login_only.hpp"
#include "client/modes/one_shot.hpp"
#include "client/modes/repl.hpp"
#include "client/modes/stdio_forward.hpp"
#include "common/base/error.hpp"
#include "common/base/last_word.hpp"
#include "common/base/log.hpp"
#include "common/sys/startup.hpp"
#include "common/sys/wait.hpp"

#include <csignal>
#include <exception>
#include <string>

#include <fcntl.h>
#include <unistd.h>

namespace {

// Returns true for the requests that show no output of a run: --runs, --kill, --forget.
bool is_about_runs(const frsh::ClientOptions& options) {
    using Kind = frsh::KeptRequest::Kind;
    if (!options.request) return false;
    const Kind kind = options.request->kind;
    return kind == Kind::List || kind == Kind::Kill || kind == Kind::Forget;
}

// Starts the mode that the options select. Returns the exit code.
int run_mode(const frsh::ClientOptions& options, const frsh::StandardStreams& streams) {
    if (options.trust) {
        frsh::trust_host(options);
        return 0;
    }
    if (!options.stdio_forward.empty()) return frsh::run_hop_forward(options);
    if (is_about_runs(options)) return frsh::run_kept_request(options);
    if (options.link_frames) return frsh::run_link_frames(options, streams);
    if (const auto to = frsh::stdio_destination(options.settings.forwards)) {
        return frsh::run_stdio_forward(options, *to, streams);
    }
    if (options.no_command) return frsh::run_without_command(options);
    if (options.batch) return frsh::run_batch(options, streams);
    // No command, and a terminal on stdin and stdout.
    const bool is_prompt = options.words.empty() && !options.request && !options.json &&
                           options.tty == frsh::Tty::Automatic && ::isatty(STDIN_FILENO) == 1 &&
                           ::isatty(STDOUT_FILENO) == 1;
    if (is_prompt && frsh::is_kept(options)) {
        throw frsh::UserError("--on-disconnect=keep: goes with a command, not with a prompt");
    }
    if (is_prompt) return frsh::run_repl(options);
    return frsh::run_one_shot(options, streams);
}

// `log_file` must outlive every log message.
int run(int argc, char** argv, frsh::Fd& log_file) {
    const frsh::StandardStreams streams = frsh::secure_standard_streams();
    int status = 0;
    std::string why_refused;
    auto options = frsh::parse_client_options(argc, argv, status, &why_refused);
    if (!options) {
        if (status != 0) frsh::record_usage_error(argc, argv, why_refused);
        return status;
    }
    frsh::log::set_level(options->log_level);
    if (!options->log_file.empty()) {
        constexpr int kFlags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY;
        log_file = frsh::Fd(frsh::check(::open(options->log_file.c_str(), kFlags, 0600),
                                        "-E " + options->log_file));
        frsh::log::set_descriptor(log_file.get());
    }
    try {
        if (options->list_links) return frsh::list_links();
        frsh::configure(*options);
        if (options->unshare) return frsh::unshare(*options);
        if (options->print_config) {
            frsh::write_all(STDOUT_FILENO, frsh::describe_config(*options));
            return 0;
        }
        if (!options->control_command.empty()) return frsh::control_link(*options);
        if (frsh::has_control_path(options->settings) && frsh::is_host(options->target)) {
            if (options->no_command) {
                if (const auto code = frsh::run_master(*options)) return *code;
            } else {
                frsh::hand_over_forwards(*options);
            }
        } else if (options->no_command && options->settings.control_master.value_or(false) &&
                   options->settings.forwards.empty()) {
            throw frsh::UserError("-M: no ControlPath; give one with -S PATH");
        }
        return run_mode(*options, streams);
    } catch (const frsh::Interrupted& interrupted) {
        frsh::record_failure(*options, interrupted);
        throw;
    } catch (const std::exception& error) {
        frsh::record_failure(*options, error);
        throw frsh::UserError(frsh::describe_failure(*options, error));
    }
}

}  // namespace

int main(int argc, char** argv) {
    frsh::Fd log_file;
    try {
        return run(argc, argv, log_file);
    } catch (const frsh::Interrupted&) {
        return 128 + SIGINT;
    } catch (const std::exception& error) {
        frsh::log::last_word(error.what());
        return 255;
    }
}
