#include "server/run/shell_report.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

using namespace frsh;
using namespace std::string_literals;

namespace {

// Feeds the bytes in pieces of `size`, and returns each report as a line of text.
std::vector<std::string> reports_in(std::string_view bytes, std::size_t size) {
    ShellReports reports;
    std::vector<std::string> lines;
    for (; !bytes.empty(); bytes.remove_prefix(std::min(size, bytes.size()))) {
        reports.feed(bytes.substr(0, size), [&](const ShellReport& report) {
            const bool is_begin = report.kind == ShellReport::Kind::Began;
            lines.push_back((is_begin ? "began " : "ended ") + report.number + " " + report.status +
                            " " + report.cwd);
        });
    }
    return lines;
}

}  // namespace

TEST_CASE("shell report: whole reports are found in any cutting") {
    const std::string bytes =
        "\0=0\0"
        "0\0/\0.\0\0+1\0\0=1\0"
        "7\0/home/a b\0.\0"s;
    const std::vector<std::string> expected{"ended 0 0 /", "began 1  ", "ended 1 7 /home/a b"};
    for (const std::size_t size : {1U, 2U, 3U, 100U})
        CHECK(reports_in(bytes, size) == expected);
}

TEST_CASE("shell report: a torn report is dropped") {
    const std::string torn =
        "\0=1\0"
        "0\0/ho"s;
    const std::string whole =
        "\0=1\0"
        "130\0/home\0.\0"s;
    CHECK(reports_in(torn + whole, 5) == std::vector<std::string>{"ended 1 130 /home"});
    CHECK(reports_in("no report\0"s, 3).empty());
}

TEST_CASE("shell report: a field above any real one is not plausible") {
    ShellReports reports;
    const auto none = [](const ShellReport&) { FAIL("no report is expected"); };
    reports.feed(std::string(64 * 1024, 'x'), none);
    CHECK(reports.is_plausible());
    reports.feed("x", none);
    CHECK_FALSE(reports.is_plausible());
}
