#include "server/run/shell_report.hpp"

#include <cstddef>
#include <utility>

namespace frsh {
namespace {

// The longest field is a folder's path, and a path has at most 4096 bytes (PATH_MAX).
constexpr std::size_t kMaxReportField = 64 * 1024;

}  // namespace

void ShellReports::feed(std::string_view bytes,
                        const std::function<void(const ShellReport&)>& take) {
    buffered_ += bytes;
    for (std::size_t end = 0; (end = buffered_.find('\0')) != std::string::npos;) {
        std::string field = buffered_.substr(0, end);
        buffered_.erase(0, end + 1);
        const bool is_first = field.starts_with('=') || field.starts_with('+');
        if (is_first) fields_.clear();
        if (!is_first && fields_.empty()) continue;
        fields_.push_back(std::move(field));
        const bool is_begin = fields_[0].starts_with('+');
        if (!is_begin && fields_.size() < 4) continue;
        auto whole = std::exchange(fields_, {});
        const std::string number = whole[0].substr(1);
        if (is_begin) {
            take({ShellReport::Kind::Began, number, "", ""});
        } else if (whole[3] == ".") {
            take({ShellReport::Kind::Ended, number, std::move(whole[1]), std::move(whole[2])});
        }
    }
}

bool ShellReports::is_plausible() const {
    return buffered_.size() <= kMaxReportField;
}

}  // namespace frsh
