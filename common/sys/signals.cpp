#include "common/sys/signals.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"

#include <cctype>
#include <csignal>
#include <cstdint>
#include <cstring>

#include <sys/signalfd.h>

namespace frsh {

std::vector<int> without_ignored(std::vector<int> numbers) {
    std::erase_if(numbers, [](int number) {
        struct sigaction now {};
        return ::sigaction(number, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
    });
    return numbers;
}

Signals::Signals(const std::vector<int>& numbers) {
    sigset_t set;
    sigemptyset(&set);
    for (const int number : numbers)
        sigaddset(&set, number);
    check(::sigprocmask(SIG_BLOCK, &set, nullptr), "sigprocmask");
    fd_ = Fd(check(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd"));
    std::signal(SIGPIPE, SIG_IGN);
}

std::vector<int> Signals::take() {
    std::vector<int> numbers;
    signalfd_siginfo info{};
    while (read_some(fd_.get(), reinterpret_cast<char*>(&info), sizeof info).status ==
           IoResult::Status::Done) {
        numbers.push_back(static_cast<int>(info.ssi_signo));
    }
    return numbers;
}

std::string signal_name(int number) {
    const char* const name = ::sigabbrev_np(number);
    return name != nullptr ? name : std::to_string(number);
}

std::optional<int> signal_number(std::string_view name) {
    if (const auto number = parse_number(name, 1, static_cast<std::uint64_t>(SIGRTMAX))) {
        return static_cast<int>(*number);
    }
    std::string upper;
    for (const char c : name) {
        upper += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    }
    std::string_view wanted = upper;
    if (wanted.starts_with("SIG")) wanted.remove_prefix(3);
    for (int number = 1; number < SIGRTMIN; ++number) {
        const char* const known = ::sigabbrev_np(number);
        if (known != nullptr && wanted == known) return number;
    }
    return std::nullopt;
}

}  // namespace frsh
