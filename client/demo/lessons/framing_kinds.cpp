#include "client/demo/lessons/framing_kinds.hpp"

#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace frsh::demo {
namespace {

constexpr std::size_t kFixedSize = 16;
constexpr std::string_view kEmptyLine = "\r\n\r\n";
constexpr std::array<unsigned char, 4> kMask = {0x37, 0xFA, 0x21, 0x3D};  // RFC 6455's example.

std::vector<Piece> with_data(std::vector<Piece> pieces, std::string data) {
    if (!data.empty()) pieces.push_back({{"data", "数据"}, std::move(data), 3});
    return pieces;
}

// Takes `head` bytes away and then `size` bytes of data. Returns whether all of them are there.
bool take_message(std::string& stream, std::size_t head, std::size_t size, std::string& message) {
    if (stream.size() < head + size) return false;
    message = stream.substr(head, size);
    stream.erase(0, head + size);
    return true;
}

std::string big_endian(std::size_t value, int bytes) {
    std::string text;
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
        text += static_cast<char>((value >> shift) & 0xFF);
    return text;
}

std::size_t from_big_endian(std::string_view bytes) {
    std::size_t value = 0;
    for (const char byte : bytes)
        value = value << 8 | static_cast<unsigned char>(byte);
    return value;
}

std::vector<Piece> encode_fixed(std::string_view message) {
    std::vector<Piece> pieces = with_data({}, std::string(message.substr(0, kFixedSize)));
    if (message.size() < kFixedSize)
        pieces.push_back({{"zeros", "补零"}, std::string(kFixedSize - message.size(), '\0'), 0});
    return pieces;
}
bool decode_fixed(std::string& stream, std::string& message) {
    if (!take_message(stream, 0, kFixedSize, message)) return false;
    message.erase(message.find_last_not_of('\0') + 1);
    return true;
}

std::vector<Piece> encode_line(std::string_view message) {
    std::string data;
    for (const char byte : message)
        data += byte == '\\' ? "\\\\" : byte == '\n' ? "\\n" : std::string(1, byte);
    std::vector<Piece> pieces = with_data({}, std::move(data));
    pieces.push_back({{"end", "结尾"}, "\n", 0});
    return pieces;
}
bool decode_line(std::string& stream, std::string& message) {
    const std::size_t end = stream.find('\n');
    if (end == std::string::npos) return false;
    message.clear();
    for (std::size_t i = 0; i < end; ++i) {
        const bool is_escape = stream[i] == '\\' && i + 1 < end;
        if (is_escape) ++i;
        message += is_escape && stream[i] == 'n' ? '\n' : stream[i];
    }
    stream.erase(0, end + 1);
    return true;
}

std::vector<Piece> encode_length(std::string_view message) {
    return with_data({{{"length", "长度"}, big_endian(message.size(), 4), 0}},
                     std::string(message));
}
bool decode_length(std::string& stream, std::string& message) {
    if (stream.size() < 4) return false;
    return take_message(stream, 4, from_big_endian(stream.substr(0, 4)), message);
}

std::vector<Piece> encode_tlv(std::string_view message) {
    return with_data(
        {{{"type", "类型"}, "\x01", 1}, {{"length", "长度"}, big_endian(message.size(), 2), 0}},
        std::string(message));
}
bool decode_tlv(std::string& stream, std::string& message) {
    if (stream.size() < 3) return false;
    return take_message(stream, 3, from_big_endian(stream.substr(1, 2)), message);
}

std::vector<Piece> encode_http(std::string_view message) {
    std::string head = "POST / HTTP/1.1\r\nHost: h1\r\nContent-Length: ";
    head.append(std::to_string(message.size())).append(kEmptyLine);
    return with_data({{{"header", "报头"}, std::move(head), 0}}, std::string(message));
}
bool decode_http(std::string& stream, std::string& message) {
    constexpr std::string_view kName = "Content-Length: ";
    const std::size_t end = stream.find(kEmptyLine);
    if (end == std::string::npos) return false;
    const std::size_t number = stream.find(kName);
    if (number == std::string::npos || number > end) return false;
    std::size_t size = 0;
    std::from_chars(stream.data() + number + kName.size(), stream.data() + end, size);
    return take_message(stream, end + kEmptyLine.size(), size, message);
}

std::vector<Piece> encode_chunked(std::string_view message) {
    std::string head = "POST / HTTP/1.1\r\nHost: h1\r\nTransfer-Encoding: chunked\r\n\r\n";
    if (message.empty())
        return {{{"header", "报头"}, std::move(head), 0}, {plain("0"), "0\r\n\r\n", 1}};
    std::array<char, 16> digits{};
    const auto last = std::to_chars(digits.begin(), digits.end(), message.size(), 16).ptr;
    return {{{"header", "报头"}, std::move(head), 0},
            {{"size", "大小"}, std::string(digits.begin(), last) + "\r\n", 1},
            {{"data", "数据"}, std::string(message), 3},
            {plain("0"), "\r\n0\r\n\r\n", 1}};
}
bool decode_chunked(std::string& stream, std::string& message) {
    std::size_t at = stream.find(kEmptyLine);
    if (at == std::string::npos) return false;
    at += kEmptyLine.size();
    std::string whole;
    for (;;) {
        const std::size_t end = stream.find("\r\n", at);
        if (end == std::string::npos) return false;
        std::size_t size = 0;
        std::from_chars(stream.data() + at, stream.data() + end, size, 16);
        at = end + 2;
        if (stream.size() < at + size + 2) return false;
        whole.append(stream, at, size);
        at += size + 2;
        if (size == 0) break;
    }
    stream.erase(0, at);
    message = std::move(whole);
    return true;
}

std::string masked(std::string_view data) {
    std::string result;
    for (std::size_t i = 0; i < data.size(); ++i)
        result += static_cast<char>(static_cast<unsigned char>(data[i]) ^ kMask[i % kMask.size()]);
    return result;
}

// Messages of this lesson are shorter than 126 bytes; longer ones take 2 or 8 bytes more.
std::vector<Piece> encode_websocket(std::string_view message) {
    std::string head = "\x82";  // The last frame of a binary message.
    head += static_cast<char>(0x80 | message.size());
    head.append(kMask.begin(), kMask.end());
    return with_data({{{"head", "帧头"}, std::move(head), 0}}, masked(message));
}
bool decode_websocket(std::string& stream, std::string& message) {
    if (stream.size() < 6) return false;
    if (!take_message(stream, 6, static_cast<unsigned char>(stream[1]) & 0x7F, message))
        return false;
    message = masked(message);
    return true;
}

}  // namespace

const std::vector<FramingKind>& framing_kinds() {
    static const std::vector<FramingKind> kinds = {
        {{"fixed size", "定长"},
         {"cut at 16; zeros at the end are lost", "超过 16 就截断；末尾的零会丢"},
         encode_fixed,
         decode_fixed},
        {{"newline, escaped", "换行加转义"},
         {"each byte is looked at; size unknown before", "逐字节检查；事先不知道大小"},
         encode_line,
         decode_line},
        {{"length", "长度"},
         {"size known before the data", "先写长度，事先知道大小"},
         encode_length,
         decode_length},
        {{"type, length, value", "类型、长度、值"},
         {"a reader can skip unknown types; 64 KiB at most", "可跳过不认识的类型；最多 64 KiB"},
         encode_tlv,
         decode_tlv},
        {plain("HTTP Content-Length"),
         {"readable; size known before", "人能读；事先知道大小"},
         encode_http,
         decode_http},
        {plain("HTTP chunked"),
         {"size of the whole may be unknown", "总大小可以事先不知道"},
         encode_chunked,
         decode_chunked},
        {plain("WebSocket"),
         {"messages both ways, after one HTTP request", "双向消息，先有一次 HTTP 请求"},
         encode_websocket,
         decode_websocket}};
    return kinds;
}

std::string encoded(const FramingKind& kind, std::string_view message) {
    std::string bytes;
    for (const Piece& piece : kind.encode(message))
        bytes += piece.bytes;
    return bytes;
}

}  // namespace frsh::demo
