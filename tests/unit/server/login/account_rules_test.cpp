#include "server/login/account_rules.hpp"

#include <limits>
#include <string>

#include <doctest/doctest.h>

using namespace frsh;

namespace {

constexpr long kToday = 20000;

ShadowEntry entry(long changed, long longest, long warning, long inactive, long expires) {
    return {"*", changed, longest, warning, inactive, expires};
}

std::string refusal(const ShadowEntry& of, long today = kToday) {
    return find_aging_refusal(of, today).value_or("");
}

}  // namespace

TEST_CASE("shadow: an account without ages stays open") {
    CHECK(refusal({}) == "");
    CHECK(refusal(entry(kToday - 4000, -1, 7, 3, -1)) == "");
    CHECK(refusal(entry(-1, 30, 7, 3, -1)) == "");
}

TEST_CASE("shadow: an account is closed from its day of expiry on") {
    CHECK(refusal(entry(kToday, 99999, 7, -1, kToday + 1)) == "");
    CHECK(refusal(entry(kToday, 99999, 7, -1, kToday)) == "the account has expired");
    CHECK(refusal(entry(kToday, 99999, 7, -1, kToday - 1)) == "the account has expired");
    CHECK(refusal(entry(kToday, 99999, 7, -1, 0)) == "the account has expired");
    // The end of the account counts before the age of the password.
    CHECK(refusal(entry(0, 30, 7, 5, kToday)) == "the account has expired");
}

TEST_CASE("shadow: day 0 as the last change demands a change") {
    CHECK(refusal(entry(0, -1, -1, -1, -1)) == "the password must be changed first (chage -d 0)");
}

TEST_CASE("shadow: a password is too old on the day after its longest age") {
    CHECK(refusal(entry(kToday - 30, 30, 7, -1, -1)) == "");
    CHECK(refusal(entry(kToday - 31, 30, 7, -1, -1)) ==
          "the password has expired and must be changed first");
    CHECK(refusal(entry(kToday - 1, 0, 7, -1, -1)) ==
          "the password has expired and must be changed first");
    CHECK(refusal(entry(kToday, 0, 7, -1, -1)) == "");
}

TEST_CASE("shadow: an account is inactive after the days of grace") {
    CHECK(refusal(entry(kToday - 35, 30, 7, 5, -1)) ==
          "the password has expired and must be changed first");
    CHECK(refusal(entry(kToday - 36, 30, 7, 5, -1)) ==
          "the account is inactive: its password expired too long ago");
    CHECK(refusal(entry(kToday - 31, 30, 7, 0, -1)) ==
          "the account is inactive: its password expired too long ago");
}

TEST_CASE("shadow: huge numbers and a change in the future close nothing") {
    constexpr long kMost = std::numeric_limits<long>::max();
    CHECK(refusal(entry(kToday + 1, 0, 7, 0, -1)) == "");
    CHECK(refusal(entry(1, kMost, 7, kMost, kMost)) == "");
    CHECK(refusal(entry(kMost, kMost, kMost, kMost, -1)) == "");
    CHECK(refusal(entry(1, 5, 7, kMost, -1)) ==
          "the password has expired and must be changed first");
    CHECK_FALSE(days_to_warn_of(entry(kToday, kMost, 7, 0, -1), kToday));
}

TEST_CASE("shadow: the warning begins its number of days before the change") {
    const auto days = [](long age) {
        return days_to_warn_of(entry(kToday - age, 30, 7, -1, -1), kToday).value_or(-1);
    };
    CHECK(days(22) == -1);
    CHECK(days(23) == 7);
    CHECK(days(30) == 0);
    CHECK(days(31) == -1);
    CHECK_FALSE(days_to_warn_of(entry(kToday - 30, 30, -1, -1, -1), kToday));
    CHECK_FALSE(days_to_warn_of(entry(0, 30, 7, -1, -1), kToday));
}

TEST_CASE("shadow: a lock is a ! before the password") {
    const auto is_locked = [](const std::string& password, LockRule rule) {
        ShadowEntry one;
        one.password = password;
        return find_lock(one, rule).has_value();
    };
    for (const char* const locked : {"!$6$salt$hash", "!!$y$hash", "!x"}) {
        CHECK(is_locked(locked, LockRule::AnyLock));
        CHECK(is_locked(locked, LockRule::LockedPassword));
    }
    for (const char* const none : {"!", "!!", "!*"}) {
        CHECK(is_locked(none, LockRule::AnyLock));
        CHECK_FALSE(is_locked(none, LockRule::LockedPassword));
    }
    for (const char* const open : {"", "*", "x", "$6$salt$hash", "*LK*"}) {
        CHECK_FALSE(is_locked(open, LockRule::AnyLock));
    }
}

TEST_CASE("shadow: a missing line closes an account that refers to it") {
    CHECK(frsh::find_missing_entry_refusal("x") == "the account has no line in /etc/shadow");
    for (const char* const open : {"", "*", "$6$salt$hash", "!"}) {
        const bool is_locked = open[0] == '!';
        CHECK(frsh::find_missing_entry_refusal(open).has_value() == is_locked);
    }
    CHECK_FALSE(frsh::read_password_field("root").empty());
}

TEST_CASE("nologin: the text of the file follows the reason, cut and without its end") {
    CHECK(nologin_reason("/run/nologin", "") == "logins are closed at the moment (/run/nologin)");
    CHECK(nologin_reason("/run/nologin", " \n\n") ==
          "logins are closed at the moment (/run/nologin)");
    CHECK(nologin_reason("/etc/nologin", "a\nb\r\n") ==
          "logins are closed at the moment (/etc/nologin): a b");
    CHECK(nologin_reason("/etc/nologin", std::string("a\0b", 3)) ==
          "logins are closed at the moment (/etc/nologin): a");
    CHECK(nologin_reason("/etc/nologin", std::string(5000, 'x')).size() < 1100);
}
