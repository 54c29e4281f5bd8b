// Owns the command of --via or ProxyCommand while the connection over it is being made.
#pragma once

#include "common/sys/process.hpp"

#include <optional>
#include <utility>

namespace frsh {

// Ends a child process and all its descendants: SIGTERM first, SIGKILL for those that are left.
// Blocks up to 300 ms. Reaps the child.
void end_tree(const Spawned& child);

// Ends its child with end_tree(), unless take() was called.
class ChildTree {
  public:
    ChildTree() = default;
    explicit ChildTree(Spawned child) : child_(std::move(child)) {}
    ChildTree(const ChildTree&) = delete;
    ChildTree& operator=(const ChildTree&) = delete;
    ~ChildTree() {
        if (child_) end_tree(*child_);
    }

    void hold(Spawned child) { child_ = std::move(child); }
    [[nodiscard]] std::optional<Spawned> take() { return std::exchange(child_, std::nullopt); }

  private:
    std::optional<Spawned> child_;
};

}  // namespace frsh
