#include "client/cli/ssh_cache.hpp"

#include "client/cli/ssh_config.hpp"
#include "client/cli/ssh_values.hpp"
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/keys/crypto.hpp"
#include "common/sys/fd.hpp"
#include "common/sys/user.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <iterator>
#include <string_view>
#include <system_error>

#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

namespace frsh {
namespace {

constexpr std::size_t kMaxConfigFile = std::size_t{1024} * 1024;
constexpr std::size_t kMaxCachedAnswer = std::size_t{256} * 1024;
constexpr std::size_t kMaxConfigFiles = 200;
constexpr int kMaxDepth = 16;  // ssh's own limit of Include.
constexpr std::size_t kMaxCachedHosts = 500;
// Longer than the step of the clock that dates files.
constexpr std::int64_t kFreshNanoseconds = 100'000'000;
constexpr std::string_view kHead = "frsh ssh-config 1\n";

std::int64_t nanoseconds(const timespec& time) {
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

std::string hex(std::string_view bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        text += kDigits[byte >> 4];
        text += kDigits[byte & 15];
    }
    return text;
}

class Survey {
  public:
    void add_file(const std::string& path) {
        struct stat status {};
        sources_.state += path;
        if (::stat(path.c_str(), &status) == -1) {
            sources_.state += " -\n";
            return;
        }
        for (const auto number :
             {static_cast<std::int64_t>(status.st_dev), static_cast<std::int64_t>(status.st_ino),
              static_cast<std::int64_t>(status.st_size), nanoseconds(status.st_mtim),
              nanoseconds(status.st_ctim)}) {
            sources_.state += ' ' + std::to_string(number);
        }
        sources_.state += '\n';
        timespec now{};
        ::clock_gettime(CLOCK_REALTIME, &now);
        const auto changed = std::max(nanoseconds(status.st_mtim), nanoseconds(status.st_ctim));
        if (changed > nanoseconds(now) - kFreshNanoseconds) sources_.is_fresh = true;
    }

    // Adds the file and what it includes. Relative names are in `folder`.
    void add_configuration(const std::string& path, const std::string& folder, int depth) {
        add_file(path);
        if (depth > kMaxDepth || ++count_ > kMaxConfigFiles) {
            sources_.is_static = false;
            return;
        }
        std::string text;
        try {
            text = read_file(path, kMaxConfigFile);
        } catch (const SysError& error) {
            if (error.code().value() != ENOENT) sources_.is_static = false;
            return;
        }
        for (const std::string_view line : split(text, '\n')) {
            const SshLine parsed = parse_ssh_line(line);
            if (parsed.keyword.empty() || parsed.keyword[0] == '#') continue;
            if (is_dynamic_ssh_line(parsed)) sources_.is_static = false;
            if (parsed.keyword == "include") include(parsed.rest, folder, depth);
        }
    }

    SshSources take() { return std::move(sources_); }

  private:
    void include(std::string_view names, const std::string& folder, int depth) {
        const auto words = cut_words(names);
        if (!words) {
            sources_.is_static = false;
            return;
        }
        for (std::string word : *words) {
            if (word.starts_with("~/")) word = current_user().home + word.substr(1);
            if (!word.starts_with('/')) word = folder + "/" + word;
            glob_t found{};
            const int result = ::glob(word.c_str(), 0, nullptr, &found);
            if (result != 0 && result != GLOB_NOMATCH) sources_.is_static = false;
            sources_.state += "include " + word + "\n";
            for (std::size_t i = 0; i < found.gl_pathc; ++i)
                add_configuration(found.gl_pathv[i], folder, depth + 1);
            ::globfree(&found);
        }
    }

    SshSources sources_;
    std::size_t count_ = 0;
};

std::string cache_folder() {
    return state_folder(home_folder()) + "/ssh-config";
}

std::string cache_file(const std::string& question) {
    return cache_folder() + "/" + hex(sha256(question)).substr(0, 40);
}

std::string head_for(const SshSources& sources, std::string_view answer) {
    return std::string(kHead) + hex(sha256(sources.state)) + " " + hex(sha256(answer)) + "\n";
}

// The folder is emptied when it holds too many hosts.
void make_room() {
    std::error_code ignored;
    const std::filesystem::directory_iterator begin(cache_folder(), ignored);
    if (ignored) return;
    const auto count = std::distance(begin, std::filesystem::directory_iterator());
    if (static_cast<std::size_t>(count) < kMaxCachedHosts) return;
    for (const auto& entry : std::filesystem::directory_iterator(cache_folder(), ignored))
        std::filesystem::remove(entry.path(), ignored);
}

}  // namespace

SshSources survey_ssh_files(const std::vector<std::string>& programs,
                            const std::vector<std::string>& files) {
    Survey survey;
    for (const std::string& program : programs)
        survey.add_file(program);
    for (const std::string& file : files) {
        const bool is_system = file.starts_with("/etc/ssh/");
        survey.add_configuration(file, is_system ? "/etc/ssh" : current_user().home + "/.ssh", 0);
    }
    return survey.take();
}

std::optional<std::string> recall_ssh_answer(const std::string& question,
                                             const SshSources& sources) {
    if (!sources.is_static) return std::nullopt;
    const std::string path = cache_file(question);
    struct stat status {};
    const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!file.is_open() || ::fstat(file.get(), &status) == -1) return std::nullopt;
    const bool is_own =
        S_ISREG(status.st_mode) && status.st_uid == ::geteuid() && (status.st_mode & 077) == 0;
    if (!is_own || static_cast<std::size_t>(status.st_size) > kMaxCachedAnswer) return std::nullopt;
    std::string text;
    try {
        text = read_file(path, kMaxCachedAnswer);
    } catch (const SysError&) {
        return std::nullopt;
    }
    const std::size_t size = head_for(sources, "").size();
    if (text.size() < size) return std::nullopt;
    std::string answer = text.substr(size);
    if (text.substr(0, size) != head_for(sources, answer)) return std::nullopt;
    return answer;
}

void remember_ssh_answer(const std::string& question, const SshSources& sources,
                         const std::string& answer) {
    if (!sources.is_static || sources.is_fresh) return;
    try {
        make_folders(cache_folder());
        make_room();
        const std::string path = cache_file(question);
        std::string beside = path + ".new-XXXXXX";
        const Fd file(check(::mkostemp(beside.data(), O_CLOEXEC), "create " + beside));
        write_all(file.get(), head_for(sources, answer) + answer);
        check(::rename(beside.c_str(), path.c_str()), "rename " + beside);
    } catch (const SysError& error) {
        log::info(error.what());
    }
}

}  // namespace frsh
