#include "client/demo/tellers/class_room.hpp"

#include <mutex>
#include <string>

namespace frsh::demo {

std::size_t ClassRoom::begin(const std::string& lesson) {
    const std::lock_guard lock(mutex_);
    lesson_ = lesson;
    lines_.clear();
    opened_ = 0;
    return ++run_;
}

void ClassRoom::add(std::size_t run, const std::string& line) {
    const std::lock_guard lock(mutex_);
    if (run == run_) lines_.push_back(line);
}

void ClassRoom::open(std::size_t count) {
    const std::lock_guard lock(mutex_);
    opened_ = count;
}

std::string ClassRoom::state(std::size_t run, std::size_t since) const {
    const std::lock_guard lock(mutex_);
    if (run != run_) since = 0;
    std::string text = "{\"run\":" + std::to_string(run_) + ",\"lesson\":\"" + lesson_ +
                       "\",\"opened\":" + std::to_string(opened_) + ",\"lines\":[";
    for (std::size_t i = since; i < lines_.size(); ++i)
        text.append(i == since ? "" : ",").append(lines_[i]);
    return text + "]}";
}

}  // namespace frsh::demo
