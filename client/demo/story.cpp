#include "client/demo/story.hpp"

#include "client/demo/sources.hpp"
#include "client/demo/stage/recorder.hpp"
#include "common/base/error.hpp"

#include <algorithm>

namespace frsh::demo {

Text more_packets(const Packet& packet) {
    return fill(
        {"... and {0} more captured packets, {1} bytes", "……还有 {0} 个抓到的报文，{1} 字节"},
        packet.more, packet.end - packet.begin);
}

void Story::tell(const Event& event) {
    if (std::holds_alternative<Heading>(event)) stop_watching();
    if (const auto* const ribbon = std::get_if<Ribbon>(&event); ribbon != nullptr && recorder_) {
        packets();
        Ribbon placed = *ribbon;
        recorder_->place(placed);
        for (Teller* const teller : tellers_)
            teller->tell(placed);
        return;
    }
    for (Teller* const teller : tellers_)
        teller->tell(event);
}

void Story::packets() {
    if (recorder_ == nullptr) return;
    for (const Packet& packet : recorder_->news())
        tell(packet);
}

void Story::watch(int fd) {
    if (recorder_ == nullptr) return;
    recorder_->watch(fd);
    packets();
}

void Story::stop_watching() {
    if (recorder_ != nullptr) recorder_->forget();
}

void Story::watch_from_first_packet(int fd) {
    if (recorder_ != nullptr) recorder_->watch(fd, Recorder::From::FirstPacket);
}

void Story::sent(int fd, ssize_t bytes, double at) {
    if (recorder_ != nullptr && bytes > 0) recorder_->sent(fd, static_cast<std::size_t>(bytes), at);
}

void Story::received(int fd, ssize_t bytes, double at) {
    if (recorder_ != nullptr && bytes > 0)
        recorder_->received(fd, static_cast<std::size_t>(bytes), at);
}

void Story::packets_or_drawn(int fd, const std::vector<Packet>& drawn) {
    if (recorder_ != nullptr) {
        watch_from_first_packet(fd);
        return packets();
    }
    for (const Packet& packet : drawn)
        tell(packet);
}

void Story::drawn(Side from, const std::string& label) {
    if (recorder_ == nullptr) tell(Packet{from, label});
}

void Story::source(std::string_view key, const Text& text) {
    const auto& all = source_lines();
    const auto found = std::find_if(all.begin(), all.end(),
                                    [&](const SourceLine& line) { return line.key == key; });
    must(found != all.end(), "a lesson points only at what sources.txt names");
    std::string place(found->file);
    if (found->line > 0) place.append(":").append(std::to_string(found->line));
    tell(Source{std::move(place), std::string(found->text), text});
}

}  // namespace frsh::demo
