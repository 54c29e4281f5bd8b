#include "client/modes/failure.hpp"

#include "client/cli/option_conflicts.hpp"
#include "client/connection/stage_error.hpp"
#include "client/run/run_record.hpp"
#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/sys/fd.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

#include <unistd.h>

namespace frsh {
namespace {

struct RecordPlaces {
    int status_fd = -1;
    bool is_json = false;
};

void write_to(const RecordPlaces& places, const std::string& record) {
    const auto write_line = [&record](int fd) {
        try {
            write_all(fd, record + "\n");
        } catch (const SysError&) {
            // The caller has closed it. The exit code reports the failure.
        }
    };
    if (places.status_fd >= 0) write_line(places.status_fd);
    if (places.is_json) write_line(STDOUT_FILENO);
}

RecordPlaces find_places(int argc, char** argv) {
    constexpr std::string_view kStatus = "--status-fd";
    RecordPlaces places;
    for (int i = 1; i < argc && std::string_view(argv[i]) != "--"; ++i) {
        std::string_view word = argv[i];
        if (word == "--json") places.is_json = true;
        if (!word.starts_with(kStatus)) continue;
        word.remove_prefix(kStatus.size());
        if (word.empty() && i + 1 < argc) {
            word = argv[++i];
        } else if (word.starts_with('=')) {
            word.remove_prefix(1);
        }
        const auto number = parse_number(word, 0, 1 << 20);
        if (number) places.status_fd = static_cast<int>(*number);
    }
    return places;
}

}  // namespace

void record_failure(const ClientOptions& options, const std::exception& error) {
    if (!options.json && options.status_fd < 0) return;
    NotStarted why{"client", 0, error.what()};
    std::optional<std::uint64_t> retry_after;
    if (const auto* const staged = dynamic_cast<const StageError*>(&error)) {
        why.stage = staged->stage();
        retry_after = staged->retry_after();
    } else if (dynamic_cast<const UserError*>(&error) != nullptr) {
        why.stage = "usage";
    }
    const bool has_command = !options.request && !options.batch;
    const Asked asked{options.target, options.words, options.argv, has_command};
    write_to({options.status_fd, options.json}, failure_record(asked, why, retry_after));
}

std::string describe_failure(const ClientOptions& options, const std::exception& error) {
    const auto* const staged = dynamic_cast<const StageError*>(&error);
    if (staged == nullptr || staged->stage() != "resolve") return error.what();
    if (options.request && !options.request->run.empty()) {
        return std::string(error.what()) +
               "; the id of the run goes first, then the target: frsh " +
               name_of(options.request->kind) + " ID TARGET";
    }
    using Kind = KeptRequest::Kind;
    for (const Kind kind :
         {Kind::List, Kind::Attach, Kind::Logs, Kind::Wait, Kind::Kill, Kind::Forget}) {
        const std::string option = name_of(kind);
        if (option != "--" + options.target) continue;
        return std::string(error.what()) + "; it is an option: frsh " + option +
               (kind == Kind::List ? " TARGET" : " ID TARGET");
    }
    return error.what();
}

void record_usage_error(int argc, char** argv, const std::string& why) {
    const RecordPlaces places = find_places(argc, argv);
    const Asked unknown{"", {}, false, false};
    write_to(places, failure_record(unknown, NotStarted{"usage", 0, why}, std::nullopt));
}

}  // namespace frsh
