// Fuzzes the folder of a kept run, with any `asked` and any `end`: the run is found, in a form that
// may be sent to a client. The input: two bytes, the length of `asked`; one byte, 0x1 to give `end`
// the right checksum; the two files.
#include "server/kept/journal_record.hpp"
#include "server/kept/store.hpp"
#include "tests/fuzz/temp_folder.hpp"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include <sys/stat.h>
#include <unistd.h>

namespace {

struct Folder : TempFolder {
    Folder() {
        must_hold(::mkdir((path + "/runs").c_str(), 0700) == 0);
        must_hold(::mkdir((path + "/runs/run").c_str(), 0700) == 0);
    }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 3 || size > 200'000) return 0;
    static const Folder folder;
    static const frsh::Store store(folder.path + "/runs");
    std::string_view bytes(reinterpret_cast<const char*>(data) + 3, size - 3);
    const std::string_view asked = bytes.substr(0, std::size_t{data[0]} << 8 | data[1]);
    bytes.remove_prefix(asked.size());
    std::string end(bytes);
    if ((data[2] & 1) != 0) {
        end.clear();
        frsh::append_record(end, bytes);
    }
    const std::string path = folder.path + "/runs/run";
    std::ofstream(path + "/asked", std::ios::binary | std::ios::trunc) << asked;
    std::ofstream(path + "/end", std::ios::binary | std::ios::trunc) << end;

    const auto found = store.find("run");
    must_hold(found && found->info.run == "run" && !found->is_running);
    must_hold(found->end.has_value() == found->why_lost.empty());
    must_hold(found->end.has_value() == found->ended_at.has_value());
    if (found->end) must_hold(found->end->run == "run");
    std::filesystem::remove(path + "/end");
    const auto without = store.find("run");
    must_hold(without && !without->end && !without->why_lost.empty());
    return 0;
}
