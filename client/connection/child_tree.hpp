// Owns the command of --via or ProxyCommand while the connection over it is being made.
#pragma once

#include "common/sys/process.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace frsh {

// A child process whose descendants can be found after it has ended itself.
struct MarkedChild : Spawned {
    // "NAME=VALUE", in the environment of the child. No other process has it.
    std::string mark;
};

// Returns a mark that no process has yet.
[[nodiscard]] std::string new_child_mark();
// Sets the mark in an environment, in place of any other.
void set_child_mark(std::vector<std::string>& environment, const std::string& mark);

// Ends a child process and what it has started: SIGTERM first, SIGKILL for those that are left.
// Leaves a daemon, which has left both the child and the session of this process (setsid(2)), such
// as the master of ssh's ControlPersist. Blocks up to 300 ms. Reaps the child.
void end_tree(const MarkedChild& child);

// Ends its child with end_tree(), unless take() was called.
class ChildTree {
  public:
    ChildTree() = default;
    explicit ChildTree(MarkedChild child) : child_(std::move(child)) {}
    ChildTree(const ChildTree&) = delete;
    ChildTree& operator=(const ChildTree&) = delete;
    ~ChildTree() {
        if (child_) end_tree(*child_);
    }

    void hold(MarkedChild child) { child_ = std::move(child); }
    [[nodiscard]] std::optional<MarkedChild> take() { return std::exchange(child_, std::nullopt); }

  private:
    std::optional<MarkedChild> child_;
};

}  // namespace frsh
