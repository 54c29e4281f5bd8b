#include "client/demo/errors.hpp"

#include "common/base/error.hpp"

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string_view>
#include <system_error>
#include <utility>

namespace frsh::demo {
namespace {

struct KnownErrno {
    int number;
    const char* chinese;
};

constexpr KnownErrno kErrnos[] = {{EACCES, "没有权限"},
                                  {EPERM, "不允许这样做"},
                                  {ENOENT, "没有那个文件或目录"},
                                  {ENOTDIR, "路径中间有一段不是目录"},
                                  {EISDIR, "那是一个目录"},
                                  {EEXIST, "已经存在"},
                                  {ENOSPC, "磁盘已满"},
                                  {EROFS, "文件系统是只读的"},
                                  {EMFILE, "打开的文件太多"},
                                  {ENFILE, "整台机器打开的文件太多"},
                                  {ENOMEM, "内存不足"},
                                  {EAGAIN, "暂时没有资源"},
                                  {EADDRINUSE, "地址已被使用"},
                                  {EADDRNOTAVAIL, "没有这个地址"},
                                  {EAFNOSUPPORT, "不支持这种地址"},
                                  {ECONNREFUSED, "连接被拒绝"},
                                  {ECONNRESET, "连接被对方重置"},
                                  {EPIPE, "对方已经关闭"},
                                  {ETIMEDOUT, "超时"},
                                  {EIO, "输入输出错误"},
                                  {ENOSYS, "内核没有这个系统调用"}};

struct KnownText {
    std::string_view english;
    std::string_view chinese;
};

// Parts of texts of UserError. What stands before such a part stays, what follows is left out.
constexpr KnownText kTexts[] = {
    {"serve: built without cpp-httplib",
     "serve：编译时没有 cpp-httplib；请安装 libcpp-httplib-dev 后重新编译"},
    {"serve: no free port", "serve：没有空闲的端口；请先结束另一个服务器"},
    {" needs a terminal", " 要从终端读键，这里没有终端"},
    {"TMPDIR is too long", "TMPDIR 的路径太长"},
    {": no frame in it", "：里面没有一帧；请用 frsh --wire 文件 主机 命令 来写"}};

// Returns what follows `mark` in the text, or the whole text.
std::string behind(std::string_view text, std::string_view mark) {
    const std::size_t at = text.find(mark);
    return std::string(at == std::string_view::npos ? text : text.substr(at + mark.size()));
}

bool parse_whole(std::string_view text, long& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

ValueCheck one_of(std::vector<std::string> names, Language language) {
    return [names = std::move(names), language](const std::string& value) -> std::string {
        std::string all;
        for (const std::string& name : names) {
            if (name == value) return "";
            all += (all.empty() ? "" : ", ") + name;
        }
        return fill(Text{"{0} is none of {1}", "没有 {0}；可以是 {1}"}, value, all).in(language);
    };
}

ValueCheck whole_between(long least, long most, Language language) {
    return [=](const std::string& value) -> std::string {
        long number = 0;
        if (parse_whole(value, number) && number >= least && number <= most) return "";
        return fill(Text{"a whole number from {0} to {1} is wanted, not {2}",
                         "应当是 {0} 到 {1} 的整数，不是 {2}"},
                    least, most, value)
            .in(language);
    };
}

ValueCheck not_negative(Language language) {
    return [=](const std::string& value) -> std::string {
        char* end = nullptr;
        const double number = std::strtod(value.c_str(), &end);
        if (!value.empty() && *end == '\0' && std::isfinite(number) && number >= 0) return "";
        return fill(Text{"a number from 0 on is wanted, not {0}", "应当是不小于 0 的数，不是 {0}"},
                    value)
            .in(language);
    };
}

std::string in_chinese(const std::string& kind, const std::string& text) {
    const std::string first = text.substr(0, text.find_first_of(" :"));
    // This one has the program's name in place of its own.
    if (text.find("not expected: ") != std::string::npos)
        return "没有这个选项或参数：" + behind(text, "expected: ");
    if (kind == "RequiredError") return "缺少参数 " + first;
    if (kind == "ArgumentMismatch" && text.find("flag override") != std::string::npos)
        return first + " 后面不能带值";
    if (kind == "ArgumentMismatch") return first + " 后面缺少一个值";
    if (const std::size_t list = text.find(" not in {"); list != std::string::npos)
        return "没有" + behind(text.substr(0, list), ":") + "；可以是 " + behind(text, " not in ");
    if (kind == "ValidationError") return first + "：" + behind(text, ": ");
    if (kind == "ConversionError") return "无法理解的值：" + behind(text, "convert: ");
    return text;
}

std::string text_of(const std::exception& error, Language language) {
    const std::string text = error.what();
    if (language == Language::English) return text;
    if (const auto* const system = dynamic_cast<const SysError*>(&error)) {
        for (const auto& [number, chinese] : kErrnos) {
            if (system->code().value() != number) continue;
            const std::size_t tail = text.rfind(": " + system->code().message());
            return text.substr(0, tail) + "：" + chinese;
        }
    }
    for (const auto& [english, chinese] : kTexts) {
        const std::size_t at = text.find(english);
        if (at != std::string::npos) return text.substr(0, at).append(chinese);
    }
    return text;
}

}  // namespace frsh::demo
