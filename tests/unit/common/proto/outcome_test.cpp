#include "common/proto/outcome.hpp"

#include "common/base/error.hpp"
#include "common/proto/checksum.hpp"
#include "common/proto/json_value.hpp"
#include "common/proto/object_reader.hpp"

#include <cerrno>
#include <optional>
#include <string>

#include <doctest/doctest.h>

using frsh::Canceled;
using frsh::Exited;
using frsh::Lost;
using frsh::NotStarted;
using frsh::Outcome;
using frsh::Signaled;
using frsh::TimedOut;

TEST_CASE("outcome: each kind has its exit code") {
    for (int code = 0; code < 256; ++code)
        CHECK(frsh::exit_code(Exited{code}) == code);
    CHECK(frsh::exit_code(Signaled{"KILL", 9, false}) == 137);
    CHECK(frsh::exit_code(TimedOut{"wall", Exited{0}}) == 124);
    CHECK(frsh::exit_code(TimedOut{"idle", std::nullopt}) == 124);
    CHECK(frsh::exit_code(Canceled{Exited{0}}) == 130);
    CHECK(frsh::exit_code(NotStarted{"exec", ENOENT, ""}) == 127);
    CHECK(frsh::exit_code(NotStarted{"exec", ENOTDIR, ""}) == 127);
    CHECK(frsh::exit_code(NotStarted{"exec", EACCES, ""}) == 126);
    CHECK(frsh::exit_code(NotStarted{"exec", EISDIR, ""}) == 126);
    CHECK(frsh::exit_code(NotStarted{"exec", ENOEXEC, ""}) == 126);
    CHECK(frsh::exit_code(NotStarted{"exec", E2BIG, ""}) == 255);
    CHECK(frsh::exit_code(NotStarted{"cwd", ENOENT, ""}) == 255);
    CHECK(frsh::exit_code(NotStarted{"fork", EAGAIN, ""}) == 255);
    CHECK(frsh::exit_code(Lost{""}) == 255);
    CHECK(frsh::exit_code(frsh::Running{}) == 124);
}

TEST_CASE("outcome: every kind survives a round trip through JSON") {
    for (const Outcome& outcome :
         {Outcome(Exited{0}), Outcome(Exited{255}), Outcome(Signaled{"SEGV", 11, true}),
          Outcome(Signaled{"40", 40, false}), Outcome(TimedOut{"wall", Exited{3}}),
          Outcome(TimedOut{"idle", Signaled{"TERM", 15, false}}),
          Outcome(TimedOut{"wall", std::nullopt}), Outcome(Canceled{std::nullopt}),
          Outcome(Canceled{Signaled{"KILL", 9, false}}),
          Outcome(NotStarted{"exec", ENOENT, "exec x: No such file or directory"}),
          Outcome(Lost{"why"}), Outcome(frsh::Running{})}) {
        CAPTURE(frsh::describe(outcome));
        const frsh::JsonValue json = frsh::parse_json(frsh::to_json(outcome).dump());
        CHECK((frsh::outcome_from(frsh::ObjectReader(json, "outcome")) == outcome));
    }
}

TEST_CASE("outcome: the description is safe for a terminal") {
    for (const Outcome& outcome :
         {Outcome(Signaled{"\x1b[2J", 9, false}), Outcome(NotStarted{"exec", 1, "\x1b[2J"}),
          Outcome(Lost{"\x1b[2J"}), Outcome(TimedOut{"wall", Signaled{"\x1b[2J", 9, false}}),
          Outcome(Canceled{Signaled{"\x1b[2J", 9, false}})}) {
        CHECK(frsh::describe(outcome).find('\x1b') == std::string::npos);
    }
}

TEST_CASE("checksum: CRC-32 gives the known values") {
    const auto crc = [](std::string_view bytes) {
        frsh::Crc32 sum;
        sum.update(bytes);
        return sum.value();
    };
    CHECK(crc("") == 0);
    CHECK(crc("a") == 0xE8B7BE43);
    CHECK(crc("123456789") == 0xCBF43926);
    CHECK(crc("The quick brown fox jumps over the lazy dog") == 0x414FA339);
    CHECK(crc(std::string(32, '\0')) == 0x190A55AD);
    CHECK(crc(std::string(32, '\xFF')) == 0xFF6CAB0B);
}

TEST_CASE("checksum: pieces give the same sum, also from a stored value") {
    const std::string bytes = "the pieces of a stream, whatever their sizes";
    frsh::Crc32 whole;
    whole.update(bytes);
    for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
        frsh::Crc32 first;
        first.update(std::string_view(bytes).substr(0, cut));
        first.update("");
        frsh::Crc32 second(first.value());
        second.update(std::string_view(bytes).substr(cut));
        CHECK(second.value() == whole.value());
    }
}
