// WindowBudget bounds the windows of the forwarded connections of one link, all together.
//
// Each stream begins with a small window that it gets in any case. Its window grows only while the
// budget has room, and by at most a quarter of that room. So early connections leave room for later
// ones, and connections with a stuck receiver hold little memory.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

namespace frsh {

// In bytes. The window with which a stream of a forwarded connection begins at both ends, and the
// one that it gets at once while the budget has room.
inline constexpr std::uint64_t kForwardFirstWindow = 16 * 1024;
inline constexpr std::uint64_t kForwardWindow = 64 * 1024;
// In bytes, for each direction of one link.
inline constexpr std::uint64_t kForwardBudget = 16 * 1024 * 1024;

class WindowBudget {
  public:
    explicit WindowBudget(std::uint64_t total = kForwardBudget) : total_(total) {}
    WindowBudget(const WindowBudget&) = delete;
    WindowBudget& operator=(const WindowBudget&) = delete;

    [[nodiscard]] std::uint64_t used() const { return used_; }

    // What one stream has of the budget. It must not outlive the budget.
    class Share {
      public:
        Share() = default;
        // Takes `size` bytes in any case.
        Share(WindowBudget& budget, std::uint64_t size) : budget_(&budget), size_(size) {
            budget_->used_ += size_;
        }
        ~Share() {
            if (budget_ != nullptr) budget_->used_ -= size_;
        }
        Share(Share&& other) noexcept
            : budget_(std::exchange(other.budget_, nullptr)), size_(other.size_) {}
        Share& operator=(Share&& other) noexcept {
            std::swap(budget_, other.budget_);
            std::swap(size_, other.size_);
            return *this;
        }
        Share(const Share&) = delete;
        Share& operator=(const Share&) = delete;

        // Returns true if the share belongs to a budget.
        [[nodiscard]] bool is_bound() const { return budget_ != nullptr; }
        // Grows to `size`. Returns false, and changes nothing, if the budget lacks the room.
        [[nodiscard]] bool grow_to(std::uint64_t size) {
            const std::uint64_t more = size - std::min(size, size_);
            if (more > budget_->room() / 4) return false;
            budget_->used_ += more;
            size_ += more;
            return true;
        }

      private:
        WindowBudget* budget_ = nullptr;
        std::uint64_t size_ = 0;
    };

  private:
    [[nodiscard]] std::uint64_t room() const { return total_ - std::min(total_, used_); }

    std::uint64_t total_;
    std::uint64_t used_ = 0;
};

// The budgets of one end of a link.
struct WindowBudgets {
    WindowBudget sending;
    WindowBudget receiving;
};

}  // namespace frsh
