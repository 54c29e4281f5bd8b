// What the pages of a class show: the lesson that the lecturer runs, as far as it is opened.
//
// The lecturer's page starts lessons and opens results. The other pages poll this state; they start
// nothing. All functions may be called from any thread.
#pragma once

#include <cstddef>
#include <mutex>
#include <string>
#include <vector>

namespace frsh::demo {

class ClassRoom {
  public:
    // Begins a lesson, and drops the lines of the one before. Returns the lesson's number.
    std::size_t begin(const std::string& lesson);
    // Adds a line of JSON. Ignores a line of a lesson that is no longer shown.
    void add(std::size_t run, const std::string& line);
    // Opens the results of the first `count` questions.
    void open(std::size_t count);
    // Returns a JSON object with the lines from `since` on; all lines if `run` is another lesson.
    [[nodiscard]] std::string state(std::size_t run, std::size_t since) const;

  private:
    mutable std::mutex mutex_;
    std::size_t run_ = 0;
    std::string lesson_;
    std::size_t opened_ = 0;
    std::vector<std::string> lines_;
};

}  // namespace frsh::demo
