#include "server/kept/journal.hpp"

#include "common/base/error.hpp"
#include "tests/support/ssh_tools.hpp"

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

using frsh::Crc32;
using frsh::JournalDamaged;
using frsh::JournalReader;
using frsh::JournalWriter;
using frsh::Offset;
using frsh::StreamId;
using frsh::test::TempFolder;

namespace {

constexpr std::uint64_t kLargeCap = std::uint64_t{64} << 20;
constexpr std::size_t kAny = std::size_t{1} << 20;

std::uint32_t sum_of(std::string_view bytes) {
    Crc32 sum;
    sum.update(bytes);
    return sum.value();
}

// Returns bytes without repetitions, so that each offset has its own content.
std::string random_bytes(std::size_t size, unsigned seed) {
    std::mt19937 random(seed);
    std::string bytes(size, '\0');
    for (char& byte : bytes)
        byte = static_cast<char>(random());
    return bytes;
}

struct Gap {
    Offset from;
    Offset to;
};

// What a reader returned, compared with what was written: each byte and each checksum.
struct Reading {
    Offset begin = 0;
    Offset end = 0;
    std::vector<Gap> gaps;
    bool saw_eof = false;
    std::string problem;
    [[nodiscard]] Offset kept() const {
        Offset bytes = end - begin;
        for (const Gap& gap : gaps)
            bytes -= gap.to - gap.from;
        return bytes;
    }
};

// Reads from the reader's position to the present end.
Reading read_on(JournalReader& reader, std::string_view written, std::size_t most = kAny) {
    Reading reading;
    reading.begin = reading.end = reader.at();
    bool is_true = true;
    try {
        while (const auto piece = reader.next(most)) {
            if (const auto* const data = std::get_if<JournalReader::Data>(&*piece)) {
                is_true = is_true && data->offset == reading.end && !data->bytes.empty() &&
                          data->bytes.size() <= most &&
                          written.substr(data->offset, data->bytes.size()) == data->bytes;
                reading.end += data->bytes.size();
            } else if (const auto* const gap = std::get_if<JournalReader::Gap>(&*piece)) {
                is_true = is_true && gap->from == reading.end && gap->to > gap->from &&
                          gap->to <= written.size() &&
                          gap->crc32 == sum_of(written.substr(0, gap->to));
                reading.end = gap->to;
                reading.gaps.push_back({gap->from, gap->to});
            } else {
                reading.saw_eof = true;
            }
            is_true = is_true && reader.at() == reading.end;
            if (!is_true) break;
        }
    } catch (const JournalDamaged& damage) {
        reading.problem = damage.what();
    }
    REQUIRE(is_true);
    REQUIRE(reader.sum() == sum_of(written.substr(0, reading.end)));
    if (reading.saw_eof) CHECK(reader.is_at_eof());
    return reading;
}

Reading read_all(const TempFolder& folder, std::string_view written, std::size_t most = kAny) {
    JournalReader reader(folder.path(), StreamId::Stdout);
    return read_on(reader, written, most);
}

void write_in_pieces(JournalWriter& writer, std::string_view bytes, std::size_t piece,
                     Offset from = 0) {
    for (Offset at = from; at < bytes.size(); at += piece)
        writer.data(at, at, bytes.substr(at, piece));
}

std::vector<std::string> files_in(const TempFolder& folder) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
        names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
}

std::uint64_t size_of(const TempFolder& folder) {
    std::uint64_t total = 0;
    for (const std::string& name : files_in(folder))
        total += std::filesystem::file_size(folder / name);
    return total;
}

std::string content_of(const std::string& path) {
    return frsh::read_file(path, std::size_t{64} << 20);
}

// As another file: ext4 writes one that is cut to nothing and filled again to the disk at once.
void replace(const TempFolder& folder, const std::string& name, std::string_view content) {
    std::filesystem::remove(folder / name);
    folder.write(name, content);
}

std::string name_of(Offset start) {
    char name[32];
    std::snprintf(name, sizeof name, "stdout-%016llx", static_cast<unsigned long long>(start));
    return name;
}

// Ends a child with a signal, and waits for it.
void kill_child(pid_t child) {
    ::kill(child, SIGKILL);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
}

}  // namespace

TEST_CASE("journal: pieces of any size are read back whole in any size") {
    for (const std::size_t size : {0, 1, 2, 65535, 65536, 65537, 131072, 131073}) {
        const TempFolder folder;
        const std::string bytes = random_bytes(size, 1);
        JournalWriter writer(folder.path(), StreamId::Stdout, kLargeCap);
        writer.data(0, 7, bytes);
        writer.eof(size);
        CHECK(writer.problem() == 0);
        for (const std::size_t most : {std::size_t{1000}, std::size_t{65536}, kAny}) {
            const Reading reading = read_all(folder, bytes, most);
            CHECK(reading.end == size);
            CHECK(reading.gaps.empty());
            CHECK(reading.saw_eof);
            CHECK(reading.problem.empty());
        }
    }
    std::mt19937 random(2);
    for (int turn = 0; turn < 20; ++turn) {
        const TempFolder folder;
        const std::string bytes =
            random_bytes(random() % 600'000, 100U + static_cast<unsigned>(turn));
        JournalWriter writer(folder.path(), StreamId::Stdout, kLargeCap);
        for (Offset at = 0; at < bytes.size();) {
            const std::string_view piece =
                std::string_view(bytes).substr(at, 1 + random() % (1U << random() % 18));
            writer.data(at, at, piece);
            at += piece.size();
        }
        const Reading reading = read_all(folder, bytes, 1 + random() % 100'000);
        CHECK(reading.end == bytes.size());
        CHECK_FALSE(reading.saw_eof);
    }
}

TEST_CASE("journal: it is empty at first, and each stream has its own") {
    const TempFolder folder;
    JournalWriter out(folder.path(), StreamId::Stdout, kLargeCap);
    JournalWriter err(folder.path(), StreamId::Stderr, kLargeCap);
    JournalReader out_reader(folder.path(), StreamId::Stdout);
    JournalReader err_reader(folder.path(), StreamId::Stderr);
    CHECK(files_in(folder).empty());
    CHECK_FALSE(out_reader.next(kAny));
    out.data(0, 1, "out");
    err.data(0, 2, "error");
    CHECK(files_in(folder) ==
          std::vector<std::string>{"stderr-0000000000000000", "stdout-0000000000000000"});
    CHECK(read_on(out_reader, "out").end == 3);
    CHECK(read_on(err_reader, "error").end == 5);
    struct stat info {};
    REQUIRE(::stat((folder / "stdout-0000000000000000").c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
}

TEST_CASE("journal: data is read back with its time") {
    const TempFolder folder;
    JournalWriter writer(folder.path(), StreamId::Stdout, kLargeCap);
    writer.data(0, 1234567, "abcd");
    JournalReader reader(folder.path(), StreamId::Stdout);
    for (int i = 0; i < 2; ++i) {
        const auto piece = reader.next(2);
        REQUIRE(piece);
        CHECK(std::get<JournalReader::Data>(*piece).time_us == 1234567);
    }
}

TEST_CASE("journal: past the cap head and tail stay, with the exact gap") {
    constexpr std::uint64_t kCap = 1'000'000;
    for (const std::size_t piece : {777, 65536, 300'000}) {
        const TempFolder folder;
        const std::string bytes = random_bytes(7'654'321, 3);
        JournalWriter writer(folder.path(), StreamId::Stdout, kCap);
        write_in_pieces(writer, bytes, piece);
        writer.eof(bytes.size());
        CHECK(writer.problem() == 0);
        CHECK(writer.left_out() == 0);
        CHECK(size_of(folder) <= kCap);
        CHECK(files_in(folder).size() == 10);
        const Reading reading = read_all(folder, bytes);
        CHECK(reading.problem.empty());
        CHECK(reading.end == bytes.size());
        CHECK(reading.saw_eof);
        REQUIRE(reading.gaps.size() == 1);  // Its checksum was compared by read_on.
        CHECK(reading.gaps[0].from > kCap / 3);
        CHECK(reading.gaps[0].from <= kCap / 2);
        CHECK(bytes.size() - reading.gaps[0].to > kCap / 4);
    }
}

TEST_CASE("journal: the cap holds for single bytes, too") {
    constexpr std::uint64_t kCap = 200'000;
    const TempFolder folder;
    const std::string bytes = random_bytes(30'000, 4);
    JournalWriter writer(folder.path(), StreamId::Stdout, kCap);
    std::uint64_t most = 0;
    for (Offset at = 0; at < bytes.size(); ++at) {
        writer.data(at, at, std::string_view(bytes).substr(at, 1));
        if (at % 100 == 0) most = std::max(most, size_of(folder));
    }
    CHECK(most <= kCap);
    CHECK(most > kCap / 2);
    const Reading reading = read_all(folder, bytes);
    CHECK(reading.problem.empty());
    CHECK(reading.end == bytes.size());
    CHECK(reading.gaps.size() == 1);
}

TEST_CASE("journal: reading from any offset equals reading from the start") {
    const TempFolder folder;
    const std::string bytes = random_bytes(120'000, 5);
    JournalWriter writer(folder.path(), StreamId::Stdout, 40'000);
    write_in_pieces(writer, bytes, 700);
    writer.eof(bytes.size());
    const Reading whole = read_all(folder, bytes);
    REQUIRE(whole.gaps.size() == 1);
    const Gap gap = whole.gaps[0];
    std::vector<Offset> offsets = {
        0,      1,          gap.from - 1,     gap.from,     gap.from + 1,    gap.to - 1,
        gap.to, gap.to + 1, bytes.size() - 1, bytes.size(), bytes.size() + 1};
    std::mt19937 random(6);
    for (int i = 0; i < 150; ++i)
        offsets.push_back(random() % bytes.size());
    JournalReader used(folder.path(), StreamId::Stdout);
    for (const Offset offset : offsets) {
        CAPTURE(offset);
        const bool is_in_hole = offset > gap.from && offset < gap.to;
        const Offset expected = is_in_hole ? gap.to : std::min<Offset>(offset, bytes.size());
        JournalReader fresh(folder.path(), StreamId::Stdout);
        for (JournalReader* const reader : {&fresh, &used}) {
            if (random() % 2 == 0) (void)reader->next(1 + random() % 1000);
            // No bytes follow the reported end.
            if (reader->is_at_eof()) reader->seek(0);
            reader->seek(offset);
            CHECK(reader->at() == expected);
            CHECK(reader->sum() == sum_of(std::string_view(bytes).substr(0, expected)));
        }
        const Reading rest = read_on(fresh, bytes);
        CHECK(rest.end == bytes.size());
        CHECK(rest.saw_eof);
        CHECK(rest.gaps.size() == (offset <= gap.from ? 1 : 0));
    }
    JournalReader at_end(folder.path(), StreamId::Stdout);
    at_end.seek_end();
    CHECK(at_end.at() == bytes.size());
    CHECK(at_end.sum() == sum_of(bytes));
    CHECK_FALSE(at_end.is_at_eof());
    const auto piece = at_end.next(kAny);
    REQUIRE(piece);
    CHECK(std::holds_alternative<JournalReader::Eof>(*piece));
    CHECK_FALSE(at_end.next(kAny));
}

TEST_CASE("journal: the reach of a run is found without reading its data") {
    const TempFolder folder;
    CHECK(frsh::journal_reach(folder.path(), StreamId::Stdout) == 0);
    CHECK(frsh::journal_reach(folder / "none", StreamId::Stdout) == 0);
    const std::string bytes = random_bytes(120'000, 5);
    JournalWriter writer(folder.path(), StreamId::Stdout, 40'000);
    bool is_right = true;
    for (Offset at = 0; at < bytes.size(); at += 100) {
        writer.data(at, at, std::string_view(bytes).substr(at, 100));
        is_right = is_right && frsh::journal_reach(folder.path(), StreamId::Stdout) == at + 100;
    }
    CHECK(is_right);
    writer.gap({0, StreamId::Stdout, 120'000, 500'000, 77});
    CHECK(frsh::journal_reach(folder.path(), StreamId::Stdout) == 500'000);
    writer.eof(500'000);
    CHECK(frsh::journal_reach(folder.path(), StreamId::Stdout) == 500'000);
}

TEST_CASE("journal: a gap given to the writer is read back") {
    const TempFolder folder;
    const std::string bytes = random_bytes(9000, 7);
    JournalWriter writer(folder.path(), StreamId::Stdout, kLargeCap);
    write_in_pieces(writer, std::string_view(bytes).substr(0, 3000), 500);
    writer.gap({0, StreamId::Stdout, 3000, 8000, sum_of(std::string_view(bytes).substr(0, 8000))});
    write_in_pieces(writer, bytes, 500, 8000);
    const Reading reading = read_all(folder, bytes);
    CHECK(reading.end == 9000);
    REQUIRE(reading.gaps.size() == 1);
    CHECK(reading.gaps[0].from == 3000);
    CHECK(reading.gaps[0].to == 8000);
}

TEST_CASE("journal: a gap may begin at the first byte") {
    const TempFolder folder;
    const std::string bytes = random_bytes(100, 8);
    JournalWriter writer(folder.path(), StreamId::Stdout, kLargeCap);
    writer.gap({0, StreamId::Stdout, 0, 100, sum_of(bytes)});
    writer.eof(100);
    const Reading reading = read_all(folder, bytes);
    CHECK(reading.end == 100);
    CHECK(reading.gaps.size() == 1);
    CHECK(reading.saw_eof);
    CHECK(reading.problem.empty());
}

TEST_CASE("journal: a follower reads every kept byte while it is written") {
    const TempFolder folder;
    const std::string bytes = random_bytes(2'000'000, 9);
    JournalWriter writer(folder.path(), StreamId::Stdout, 100'000);
    JournalReader eager(folder.path(), StreamId::Stdout);
    JournalReader lazy(folder.path(), StreamId::Stdout);
    std::mt19937 random(10);
    Offset eager_gaps = 0;
    for (Offset at = 0; at < bytes.size();) {
        const std::string_view piece = std::string_view(bytes).substr(at, 1 + random() % 5000);
        writer.data(at, at, piece);
        at += piece.size();
        const Reading reading = read_on(eager, bytes, 1 + random() % 3000);
        REQUIRE(reading.problem.empty());
        REQUIRE(reading.end == at);
        eager_gaps += reading.gaps.size();
        if (random() % 40 == 0) (void)lazy.next(1 + random() % 3000);
    }
    writer.eof(bytes.size());
    CHECK(eager_gaps == 0);  // All of it was there in time.
    CHECK(read_on(eager, bytes).saw_eof);
    const Reading reading = read_on(lazy, bytes);
    CHECK(reading.problem.empty());
    CHECK(reading.end == bytes.size());
    CHECK(reading.saw_eof);
}

TEST_CASE("journal: a reader in another process sees no damage at rotation") {
    const TempFolder folder;
    const std::string bytes = random_bytes(3'000'000, 11);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        JournalWriter writer(folder.path(), StreamId::Stdout, 20'000);
        std::mt19937 random(12);
        for (Offset at = 0; at < bytes.size();) {
            const std::string_view piece = std::string_view(bytes).substr(at, 1 + random() % 600);
            writer.data(at, at, piece);
            at += piece.size();
        }
        writer.eof(bytes.size());
        ::_exit(writer.problem());
    }
    std::mt19937 random(13);
    JournalReader journal_channel(folder.path(), StreamId::Stdout);
    bool saw_eof = false;
    std::string problem;
    int readers = 0;
    while (!saw_eof && problem.empty()) {
        const Reading reading = read_on(journal_channel, bytes, 1 + random() % 2000);
        saw_eof = reading.saw_eof;
        problem = reading.problem;
        JournalReader other(folder.path(), StreamId::Stdout);
        other.seek(random() % 2 == 0 ? UINT64_MAX : random() % bytes.size());
        CHECK(other.sum() == sum_of(std::string_view(bytes).substr(0, other.at())));
        if (problem.empty()) problem = read_on(other, bytes).problem;
        ++readers;
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    CHECK(problem.empty());
    CHECK(journal_channel.at() == bytes.size());
    MESSAGE(readers, " readers beside the follower");
}

TEST_CASE("journal: cut at any byte, it goes on after its last whole record") {
    const TempFolder folder;
    const std::string bytes = random_bytes(6000, 14);
    JournalWriter writer(folder.path(), StreamId::Stdout, 16 * 1024);
    std::vector<std::uint64_t> ends;
    for (Offset at = 0; at < bytes.size(); at += 100) {
        writer.data(at, at, std::string_view(bytes).substr(at, 100));
        ends.push_back(at + 100);
    }
    writer.eof(bytes.size());
    const std::string last = files_in(folder).back();
    const std::string content = content_of(folder / last);
    REQUIRE(files_in(folder).size() > 2);
    REQUIRE(last != name_of(0));
    Offset before = 0;
    for (std::size_t size = 0; size <= content.size(); ++size) {
        CAPTURE(size);
        replace(folder, last, std::string_view(content).substr(0, size));
        JournalReader reader(folder.path(), StreamId::Stdout);
        const Reading reading = read_on(reader, bytes);
        CHECK(reading.problem.empty());
        CHECK(reading.gaps.empty());
        CHECK(reading.end >= before);
        CHECK(reading.end % 100 == 0);
        CHECK(reading.saw_eof == (size == content.size()));
        before = reading.end;
        // A record that is written in part may be completed later.
        std::ofstream(folder / last, std::ios::binary | std::ios::app) << content.substr(size);
        CHECK(read_on(reader, bytes).end == bytes.size());
        CHECK(reader.is_at_eof());
    }
    CHECK(before == bytes.size());
}

TEST_CASE("journal: an earlier segment that is cut is damage or a gap") {
    const TempFolder folder;
    const std::string bytes = random_bytes(6000, 15);
    JournalWriter writer(folder.path(), StreamId::Stdout, 16 * 1024);
    write_in_pieces(writer, bytes, 100);
    writer.eof(bytes.size());
    const std::string second = files_in(folder)[1];
    const std::string content = content_of(folder / second);
    std::size_t damaged = 0;
    for (std::size_t size = 0; size < content.size(); ++size) {
        CAPTURE(size);
        replace(folder, second, std::string_view(content).substr(0, size));
        const Reading reading = read_all(folder, bytes);
        if (reading.problem.empty()) {
            CHECK(reading.end == bytes.size());
            CHECK(reading.gaps.size() == 1);
        } else {
            CHECK(reading.problem.find("stdout: what was kept is damaged at offset ") == 0);
            ++damaged;
        }
    }
    CHECK(damaged > content.size() * 9 / 10);
}

TEST_CASE("journal: a flipped bit is damage or the end, never wrong data") {
    for (const bool is_last : {false, true}) {
        const TempFolder folder;
        const std::string bytes = random_bytes(4000, 16);
        JournalWriter writer(folder.path(), StreamId::Stdout, 16 * 1024);
        write_in_pieces(writer, bytes, 300);
        writer.eof(bytes.size());
        REQUIRE(files_in(folder).size() >= 3);
        const std::string name = is_last ? files_in(folder).back() : files_in(folder)[1];
        const std::string content = content_of(folder / name);
        const frsh::Fd file(::open((folder / name).c_str(), O_WRONLY | O_CLOEXEC));
        std::size_t damaged = 0;
        for (std::size_t bit = 0; bit < content.size() * 8; bit += is_last ? 1 : 9) {
            CAPTURE(bit);
            const auto flipped = static_cast<char>(content[bit / 8] ^ 1 << bit % 8);
            const auto place = static_cast<off_t>(bit / 8);
            REQUIRE(::pwrite(file.get(), &flipped, 1, place) == 1);
            const Reading reading = read_all(folder, bytes);
            REQUIRE(::pwrite(file.get(), &content[bit / 8], 1, place) == 1);
            REQUIRE(reading.gaps.empty());
            REQUIRE_FALSE(reading.saw_eof);
            REQUIRE(reading.end < bytes.size() + (is_last ? 1 : 0));
            if (!reading.problem.empty()) ++damaged;
            if (!is_last) REQUIRE_FALSE(reading.problem.empty());
        }
        CHECK(damaged > 0);
    }
}

TEST_CASE("journal: segments of different journals are damage") {
    const TempFolder folder;
    const TempFolder other;
    const std::string bytes = random_bytes(6000, 17);
    const std::string other_bytes = random_bytes(6000, 18);
    JournalWriter writer(folder.path(), StreamId::Stdout, 16 * 1024);
    JournalWriter other_writer(other.path(), StreamId::Stdout, 16 * 1024);
    write_in_pieces(writer, bytes, 300);
    write_in_pieces(other_writer, other_bytes, 300);
    const std::string second = files_in(folder)[1];
    REQUIRE(files_in(other)[1] == second);
    replace(folder, second, content_of(other / second));
    const Reading reading = read_all(folder, bytes);
    CHECK(reading.problem.find("checksum") != std::string::npos);
    // A record that begins before the previous one has ended.
    replace(folder, name_of(0), content_of(other / name_of(0)) + content_of(other / second));
    CHECK(read_all(folder, other_bytes).problem.find("a hole from") != std::string::npos);
}

TEST_CASE("journal: an intact record at a wrong place is damage") {
    using frsh::msg::Data;
    using frsh::msg::Eof;
    const auto problem_of = [](const frsh::Message& second) {
        const TempFolder folder;
        std::string records;
        frsh::append_record(records, Data{0, StreamId::Stdout, 0, 1, "abc"});
        frsh::append_record(records, second);
        folder.write(name_of(0), records);
        return read_all(folder, "abcdef").problem;
    };
    CHECK(problem_of(Data{0, StreamId::Stdout, 3, 1, "def"}).empty());
    CHECK(problem_of(frsh::msg::Gap{0, StreamId::Stdout, 3, 6, sum_of("abcdef")}).empty());
    CHECK(problem_of(Eof{0, StreamId::Stdout, 3}).empty());
    CHECK_FALSE(problem_of(Data{0, StreamId::Stdout, 2, 1, "cde"}).empty());
    CHECK_FALSE(problem_of(Data{0, StreamId::Stdout, 4, 1, "ef"}).empty());
    CHECK_FALSE(problem_of(Data{0, StreamId::Stderr, 3, 1, "def"}).empty());
    CHECK_FALSE(problem_of(frsh::msg::Gap{0, StreamId::Stdout, 2, 6, sum_of("abcdef")}).empty());
    CHECK_FALSE(problem_of(frsh::msg::Gap{0, StreamId::Stdout, 4, 6, sum_of("abcdef")}).empty());
    CHECK_FALSE(problem_of(frsh::msg::Gap{0, StreamId::Stdout, 3, 2, sum_of("ab")}).empty());
    CHECK_FALSE(problem_of(frsh::msg::Gap{0, StreamId::Stdout, 3, 3, sum_of("ab")}).empty());
    CHECK_FALSE(problem_of(Eof{0, StreamId::Stdout, 4}).empty());
    CHECK_FALSE(problem_of(frsh::msg::Started{0, "run", 1}).empty());
}

TEST_CASE("journal: zeros after a power failure are its end") {
    const TempFolder folder;
    const std::string bytes = random_bytes(1000, 19);
    JournalWriter writer(folder.path(), StreamId::Stdout, kLargeCap);
    write_in_pieces(writer, bytes, 100);
    const std::string content = content_of(folder / name_of(0));
    for (const std::size_t cut : {content.size(), content.size() - 1, content.size() - 50}) {
        replace(folder, name_of(0), content.substr(0, cut) + std::string(5000, '\0'));
        const Reading reading = read_all(folder, bytes);
        CHECK(reading.problem.empty());
        CHECK(reading.end == (cut == content.size() ? 1000 : 900));
    }
    replace(folder, name_of(0), content + std::string(5000, '\0') + "x");
    CHECK_FALSE(read_all(folder, bytes).problem.empty());
}

namespace {

// Until it goes, no file of this process gets longer than that.
class FileSizeLimit {
  public:
    explicit FileSizeLimit(rlim_t bytes) {
        REQUIRE(::getrlimit(RLIMIT_FSIZE, &before_) == 0);
        std::signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{bytes, before_.rlim_max};
        REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
    }
    ~FileSizeLimit() {
        (void)::setrlimit(RLIMIT_FSIZE, &before_);
        std::signal(SIGXFSZ, SIG_DFL);
    }
    FileSizeLimit(const FileSizeLimit&) = delete;
    FileSizeLimit& operator=(const FileSizeLimit&) = delete;

  private:
    rlimit before_{};
};

}  // namespace

TEST_CASE("journal: a failed write is a gap, and later data follows it") {
    const std::string bytes = random_bytes(60'000, 20);
    // At any byte of what is being written, the first one included.
    std::vector<rlim_t> limits = {0, 1, 50, 100, 150, 330};
    for (rlim_t limit = 5000; limit < 5400; limit += 15)
        limits.push_back(limit);
    Offset gaps_while_full = 0;
    for (const rlim_t limit : limits) {
        CAPTURE(limit);
        const TempFolder folder;
        JournalWriter writer(folder.path(), StreamId::Stdout, kLargeCap);
        JournalReader journal_channel(folder.path(), StreamId::Stdout);
        Offset at = 0;
        Offset gaps = 0;
        const auto write_up_to = [&](Offset end) {
            for (; at < end; at += 250) {
                writer.data(at, at, std::string_view(bytes).substr(at, 250));
                const Reading reading = read_on(journal_channel, bytes);
                REQUIRE(reading.problem.empty());
                gaps += reading.gaps.size();
            }
        };
        {
            const FileSizeLimit full(limit);
            write_up_to(20'000);
            CHECK(writer.problem() == EFBIG);
            CHECK(writer.left_out() >= 14'000);
            gaps_while_full += gaps;
        }
        write_up_to(30'000);
        writer.eof(30'000);
        CHECK(writer.problem() == EFBIG);
        const Reading seen = read_on(journal_channel, bytes);
        CHECK(seen.saw_eof);
        CHECK(journal_channel.at() == 30'000);
        CHECK(gaps > 0);

        const Reading reading = read_all(folder, std::string_view(bytes).substr(0, 30'000));
        CHECK(reading.problem.empty());
        CHECK(reading.end == 30'000);
        CHECK(reading.saw_eof);
        CHECK(reading.kept() == 30'000 - writer.left_out());
    }
    // Bytes that were written stay, since a reader may have read them.
    CHECK(gaps_while_full > 0);
}

TEST_CASE("journal: a full disk is reported, and costs only what did not fit, as root") {
    if (::geteuid() != 0) {
        MESSAGE("skipped: only root may mount a small disk");
        return;
    }
    const TempFolder folder;
    if (::mount("none", folder.path().c_str(), "tmpfs", 0, "size=256k") != 0) {
        MESSAGE("skipped: no tmpfs may be mounted here");
        return;
    }
    struct Unmount {
        const std::string& path;
        ~Unmount() { ::umount2(path.c_str(), MNT_DETACH); }
    } unmount{folder.path()};
    const std::string bytes = random_bytes(1'000'000, 21);
    JournalWriter writer(folder.path(), StreamId::Stdout, kLargeCap);
    folder.write("ballast", std::string(100'000, 'x'));
    write_in_pieces(writer, std::string_view(bytes).substr(0, 700'000), 7000);
    CHECK(writer.problem() == ENOSPC);
    std::filesystem::remove(folder / "ballast");
    write_in_pieces(writer, std::string_view(bytes).substr(0, 735'000), 7000, 700'000);
    writer.eof(735'000);
    const Reading reading = read_all(folder, std::string_view(bytes).substr(0, 735'000));
    CHECK(reading.problem.empty());
    CHECK(reading.saw_eof);
    CHECK(reading.kept() == 735'000 - writer.left_out());
    CHECK(reading.kept() > 150'000);
    REQUIRE_FALSE(reading.gaps.empty());
    CHECK(reading.gaps.back().to == 700'000);
}

TEST_CASE("journal: a removed folder stops neither writer nor reader") {
    const TempFolder folder;
    std::filesystem::create_directory(folder / "run");
    JournalWriter writer(folder / "run", StreamId::Stdout, kLargeCap);
    JournalReader reader(folder / "run", StreamId::Stdout);
    writer.data(0, 0, "abc");
    REQUIRE(reader.next(1));
    std::filesystem::remove_all(folder / "run");
    writer.data(3, 0, "def");
    CHECK(read_on(reader, "abcdef").end == 6);
    JournalWriter late(folder / "run", StreamId::Stderr, kLargeCap);
    late.data(0, 0, "abc");
    late.eof(3);
    CHECK(late.problem() == ENOENT);
    CHECK(late.left_out() == 3);
}

TEST_CASE("journal: a writer killed at any time leaves a correct beginning") {
    std::mt19937 random(22);
    const std::string bytes = random_bytes(30'000'000, 23);
    std::size_t began = 0;
    // On a busy machine many are killed before they begin.
    for (int turn = 0; turn < 60 || (began <= 10 && turn < 2000); ++turn) {
        const TempFolder folder;
        const bool is_capped = turn % 2 == 0;
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            JournalWriter writer(folder.path(), StreamId::Stdout, is_capped ? 300'000 : kLargeCap);
            write_in_pieces(writer, bytes, is_capped ? 5000 : 60'000);
            ::_exit(0);
        }
        ::usleep(static_cast<useconds_t>(random() % 8000));
        kill_child(child);
        const Reading reading = read_all(folder, bytes);
        CHECK(reading.problem.empty());
        CHECK(reading.gaps.size() <= (is_capped ? 1 : 0));
        CHECK(frsh::journal_reach(folder.path(), StreamId::Stdout) == reading.end);
        if (reading.end > 0) ++began;
    }
    CHECK(began > 10);
}

TEST_CASE("journal: a FIFO or a link is refused without blocking") {
    const TempFolder folder;
    REQUIRE(::mkfifo((folder / name_of(0)).c_str(), 0600) == 0);
    JournalReader reader(folder.path(), StreamId::Stdout);
    CHECK_THROWS_AS((void)reader.next(1), frsh::SysError);
    std::filesystem::remove(folder / name_of(0));
    std::filesystem::create_symlink("/etc/passwd", folder / name_of(0));
    JournalReader other(folder.path(), StreamId::Stdout);
    CHECK_THROWS_AS((void)other.next(1), frsh::SysError);
}

TEST_CASE("journal: a writer at its cap has no room while a live reader needs what would go") {
    const TempFolder folder;
    JournalWriter writer(folder.path(), StreamId::Stdout, 16 * 1024);
    JournalReader reader(folder.path(), StreamId::Stdout);
    Offset written = 0;
    const auto write = [&](std::optional<Offset> needed) {
        writer.hold_for(needed);
        std::size_t before = written;
        while (const std::size_t room =
                   std::min(writer.room(), std::size_t{100'000} - (written - before))) {
            const std::string bytes(room, static_cast<char>('a' + written % 26));
            writer.data(written, 0, bytes);
            written += room;
        }
        return written - before;
    };
    CHECK(write(0) < 20'000);  // All that fits, and no more.
    CHECK(write(0) == 0);
    Offset read = 0;
    for (int turn = 0; turn < 100; ++turn) {
        while (const auto piece = reader.next(1000)) {
            REQUIRE(std::holds_alternative<JournalReader::Data>(*piece));
            read = reader.at();
        }
        REQUIRE(read == written);
        REQUIRE(write(read) > 0);
    }
    CHECK(written > 100'000);
    CHECK(write(std::nullopt) == 100'000);  // Without a live reader nothing is held up.
}
