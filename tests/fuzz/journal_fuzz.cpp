// Fuzzes the journal's reader: it ends with pieces of any size, its output has the checksum that it
// reports, and reading from any offset gives the same bytes as reading from the start.
//
// The input: two bytes, the length of the first segment; one byte, 0x1 to give every record the
// right checksum, so that its content is parsed; the first segment; two bytes, the offset of the
// second segment; the second segment.
#include "common/base/error.hpp"
#include "common/proto/checksum.hpp"
#include "server/kept/journal.hpp"
#include "tests/fuzz/temp_folder.hpp"

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <variant>
#include <vector>

#include <unistd.h>

namespace {

using frsh::JournalReader;
using frsh::Offset;

using Folder = TempFolder;

std::size_t take_number(std::string_view& bytes, int count) {
    std::size_t number = 0;
    for (; count > 0 && !bytes.empty(); --count) {
        number = number << 8 | static_cast<unsigned char>(bytes[0]);
        bytes.remove_prefix(1);
    }
    return number;
}

std::string mend(std::string_view segment) {
    std::string mended;
    while (segment.size() >= frsh::kRecordPrefix) {
        const auto prefix = frsh::record_prefix(segment);
        segment.remove_prefix(frsh::kRecordPrefix);
        if (prefix.length > segment.size()) break;
        frsh::append_record(mended, segment.substr(0, prefix.length));
        segment.remove_prefix(prefix.length);
    }
    return mended.append(segment);
}

void write_file(const std::string& folder, Offset start, std::string_view content) {
    char name[32];
    std::snprintf(name, sizeof name, "/stdout-%016llx", static_cast<unsigned long long>(start));
    std::ofstream(folder + name, std::ios::binary | std::ios::trunc) << content;
}

struct Told {
    std::string bytes;
    std::vector<std::string> gaps;
    bool is_at_eof = false;
    std::string problem;
    Offset at = 0;
    std::uint32_t sum = 0;
    bool operator==(const Told&) const = default;
};

Told read(JournalReader& reader, std::size_t most, std::size_t size) {
    Told told;
    Offset at = reader.at();
    frsh::Crc32 sum(reader.sum());
    std::size_t pieces = 0;
    try {
        while (const auto piece = reader.next(most)) {
            must_hold(++pieces <= size + 2);
            if (const auto* const data = std::get_if<JournalReader::Data>(&*piece)) {
                must_hold(data->offset == at && !data->bytes.empty());
                must_hold(data->bytes.size() <= most);
                at += data->bytes.size();
                sum.update(data->bytes);
                told.bytes += data->bytes;
            } else if (const auto* const gap = std::get_if<JournalReader::Gap>(&*piece)) {
                must_hold(gap->from == at && gap->to > at);
                at = gap->to;
                sum = frsh::Crc32(gap->crc32);
                told.gaps.push_back(std::to_string(gap->from) + "-" + std::to_string(gap->to));
            }
            must_hold(reader.at() == at && reader.sum() == sum.value());
        }
    } catch (const frsh::JournalDamaged& damage) {
        told.problem = damage.what();
    }
    told.is_at_eof = reader.is_at_eof();
    told.at = reader.at();
    told.sum = reader.sum();
    return told;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size > 200'000) return 0;
    static const Folder folder;
    std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const std::size_t first_size = take_number(bytes, 2);
    const bool is_mended = (take_number(bytes, 1) & 1) != 0;
    const std::string_view first = bytes.substr(0, first_size);
    bytes.remove_prefix(first.size());
    const Offset start = take_number(bytes, 2);
    for (const auto& entry : std::filesystem::directory_iterator(folder.path))
        std::filesystem::remove(entry);
    if (!first.empty()) write_file(folder.path, 0, is_mended ? mend(first) : std::string(first));
    if (!bytes.empty()) {
        write_file(folder.path, start, is_mended ? mend(bytes) : std::string(bytes));
    }

    JournalReader reader(folder.path, frsh::StreamId::Stdout);
    const Told whole = read(reader, frsh::kMaxData, size);
    JournalReader slow(folder.path, frsh::StreamId::Stdout);
    must_hold(read(slow, 1, size) == whole);
    // Reading again at the end returns nothing.
    must_hold(read(slow, 1, size).bytes.empty());
    (void)frsh::journal_reach(folder.path, frsh::StreamId::Stdout);

    for (const Offset to : {Offset{0}, Offset{1}, start, whole.at / 2, Offset{UINT64_MAX}}) {
        JournalReader seeking(folder.path, frsh::StreamId::Stdout);
        try {
            seeking.seek(to);
        } catch (const frsh::JournalDamaged&) {
            continue;
        }
        const Told rest = read(seeking, frsh::kMaxData, size);
        // What was whole from its start is the same from everywhere.
        if (!whole.problem.empty() || !whole.gaps.empty()) continue;
        must_hold(rest.at == whole.at && rest.sum == whole.sum);
        must_hold(whole.bytes.ends_with(rest.bytes));
    }
    return 0;
}
