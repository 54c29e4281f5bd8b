#include "common/proto/outcome.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/proto/fields.hpp"

#include <cerrno>

namespace frsh {
namespace {

template <typename... Cases>
struct Overloaded : Cases... {
    using Cases::operator()...;
};
template <typename... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

void add_end(Json::Object& members, const RealEnd& end) {
    if (const auto* const exited = std::get_if<Exited>(&end)) {
        members.emplace_back("code", exited->code);
    } else {
        const auto& signaled = std::get<Signaled>(end);
        members.emplace_back("signal", signaled.name);
        members.emplace_back("number", signaled.number);
        members.emplace_back("core", signaled.core);
    }
}

Exited exited_from(const Fields& fields) {
    return {static_cast<int>(fields.whole("code", 255))};
}

Signaled signaled_from(const Fields& fields) {
    return {fields.text("signal", 16), static_cast<int>(fields.whole("number", 127)),
            fields.flag("core")};
}

std::optional<RealEnd> real_end_from(const Fields& fields) {
    if (fields.has("code")) return exited_from(fields);
    if (fields.has("signal")) return signaled_from(fields);
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

Json to_json(const Outcome& outcome) {
    return std::visit(Overloaded{
                          [](const Exited& end) {
                              Json::Object members{{"kind", "exited"}};
                              add_end(members, end);
                              return Json(members);
                          },
                          [](const Signaled& end) {
                              Json::Object members{{"kind", "signaled"}};
                              add_end(members, end);
                              return Json(members);
                          },
                          [](const TimedOut& end) {
                              Json::Object members{{"kind", "timed_out"}, {"limit", end.limit}};
                              if (end.real) add_end(members, *end.real);
                              return Json(members);
                          },
                          [](const Canceled& end) {
                              Json::Object members{{"kind", "canceled"}};
                              if (end.real) add_end(members, *end.real);
                              return Json(members);
                          },
                          [](const NotStarted& end) {
                              return Json(Json::Object{{"kind", "not_started"},
                                                       {"stage", end.stage},
                                                       {"errno", end.error},
                                                       {"message", end.message}});
                          },
                          [](const Lost& end) {
                              return Json(Json::Object{{"kind", "lost"}, {"message", end.message}});
                          },
                          [](const Running&) {
                              return Json(Json::Object{{"kind", "running"}});
                          },
                      },
                      outcome);
}

Outcome outcome_from(const Json& json) {
    const Fields fields(json, "outcome");
    const std::string kind = fields.text("kind", 16);
    if (kind == "exited") return exited_from(fields);
    if (kind == "signaled") return signaled_from(fields);
    if (kind == "timed_out") {
        const std::string limit = fields.text("limit", 8);
        if (limit != "wall" && limit != "idle") throw ProtocolError("outcome: unknown limit");
        return TimedOut{limit, real_end_from(fields)};
    }
    if (kind == "canceled") return Canceled{real_end_from(fields)};
    if (kind == "not_started") {
        return NotStarted{fields.text("stage", 16), static_cast<int>(fields.whole("errno", 4095)),
                          fields.text("message", 8192)};
    }
    if (kind == "lost") return Lost{fields.text("message", 8192)};
    if (kind == "running") return Running{};
    throw ProtocolError("outcome: unknown kind \"" + escape_controls(kind) + "\"");
}

}  // namespace frsh
