#include "common/proto/outcome.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/proto/object_reader.hpp"

#include <cerrno>

namespace frsh {
namespace {

template <typename... Cases>
struct Overloaded : Cases... {
    using Cases::operator()...;
};
template <typename... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

void add_end(JsonObject& object, const RealEnd& end) {
    if (const auto* const exited = std::get_if<Exited>(&end)) {
        object.add_whole("code", static_cast<std::uint64_t>(exited->code));
    } else {
        const auto& signaled = std::get<Signaled>(end);
        object.add_text("signal", signaled.name);
        object.add_whole("number", static_cast<std::uint64_t>(signaled.number));
        object.add_flag("core", signaled.core);
    }
}

Exited exited_from(const ObjectReader& object) {
    return {static_cast<int>(object.whole("code", 255))};
}

Signaled signaled_from(const ObjectReader& object) {
    return {object.text("signal", 16), static_cast<int>(object.whole("number", 127)),
            object.flag("core")};
}

std::optional<RealEnd> real_end_from(const ObjectReader& object) {
    if (object.has("code")) return exited_from(object);
    if (object.has("signal")) return signaled_from(object);
    return std::nullopt;
}

std::string in_words(const std::optional<RealEnd>& end) {
    if (!end) return "";
    if (const auto* const exited = std::get_if<Exited>(&*end)) {
        return ", it then exited with " + std::to_string(exited->code);
    }
    return ", it then ended by signal " + escape_controls(std::get<Signaled>(*end).name);
}

}  // namespace

Outcome as_outcome(const RealEnd& end) {
    return std::visit([](const auto& one) { return Outcome(one); }, end);
}

bool was_observed(const Outcome& outcome) {
    return std::visit(Overloaded{
                          [](const Exited&) { return true; },
                          [](const Signaled&) { return true; },
                          [](const TimedOut& end) { return end.real.has_value(); },
                          [](const Canceled& end) { return end.real.has_value(); },
                          [](const NotStarted&) { return false; },
                          [](const Lost&) { return false; },
                          [](const Running&) { return false; },
                      },
                      outcome);
}

int exit_code(const Outcome& outcome) {
    return std::visit(Overloaded{
                          [](const Exited& end) { return end.code; },
                          [](const Signaled& end) { return 128 + end.number; },
                          [](const TimedOut&) { return 124; },
                          [](const Canceled&) { return 130; },
                          [](const NotStarted& end) {
                              if (end.stage != "exec") return 255;
                              if (end.error == ENOENT || end.error == ENOTDIR) return 127;
                              const bool not_executable = end.error == EACCES ||
                                                          end.error == EISDIR ||
                                                          end.error == ENOEXEC;
                              return not_executable ? 126 : 255;
                          },
                          [](const Lost&) { return 255; },
                          [](const Running&) { return 124; },
                      },
                      outcome);
}

std::string describe(const Outcome& outcome) {
    return std::visit(
        Overloaded{
            [](const Exited& end) { return "exited with " + std::to_string(end.code); },
            [](const Signaled& end) {
                return "killed by signal " + escape_controls(end.name) +
                       (end.core ? " (core dumped)" : "");
            },
            [](const TimedOut& end) {
                return std::string(end.limit == "idle" ? "idle time" : "time") + " limit passed" +
                       in_words(end.real);
            },
            [](const Canceled& end) { return "canceled" + in_words(end.real); },
            [](const NotStarted& end) { return "not started: " + escape_controls(end.message); },
            [](const Lost& end) { return "lost: " + escape_controls(end.message); },
            [](const Running&) { return std::string("still running"); },
        },
        outcome);
}

JsonObject to_json(const Outcome& outcome) {
    JsonObject object;
    std::visit(Overloaded{
                   [&](const Exited& end) {
                       object.add_text("kind", "exited");
                       add_end(object, end);
                   },
                   [&](const Signaled& end) {
                       object.add_text("kind", "signaled");
                       add_end(object, end);
                   },
                   [&](const TimedOut& end) {
                       object.add_text("kind", "timed_out");
                       object.add_text("limit", end.limit);
                       if (end.real) add_end(object, *end.real);
                   },
                   [&](const Canceled& end) {
                       object.add_text("kind", "canceled");
                       if (end.real) add_end(object, *end.real);
                   },
                   [&](const NotStarted& end) {
                       object.add_text("kind", "not_started");
                       object.add_text("stage", end.stage);
                       object.add_whole("errno", static_cast<std::uint64_t>(end.error));
                       object.add_text("message", end.message);
                   },
                   [&](const Lost& end) {
                       object.add_text("kind", "lost");
                       object.add_text("message", end.message);
                   },
                   [&](const Running&) { object.add_text("kind", "running"); },
               },
               outcome);
    return object;
}

Outcome outcome_from(const ObjectReader& object) {
    const std::string kind = object.text("kind", 16);
    if (kind == "exited") return exited_from(object);
    if (kind == "signaled") return signaled_from(object);
    if (kind == "timed_out") {
        const std::string limit = object.text("limit", 8);
        if (limit != "wall" && limit != "idle") throw ProtocolError("outcome: unknown limit");
        return TimedOut{limit, real_end_from(object)};
    }
    if (kind == "canceled") return Canceled{real_end_from(object)};
    if (kind == "not_started") {
        return NotStarted{object.text("stage", 16), static_cast<int>(object.whole("errno", 4095)),
                          object.text("message", 8192)};
    }
    if (kind == "lost") return Lost{object.text("message", 8192)};
    if (kind == "running") return Running{};
    throw ProtocolError("outcome: unknown kind \"" + escape_controls(kind) + "\"");
}

}  // namespace frsh
