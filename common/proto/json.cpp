#include "common/proto/json.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"

#include <charconv>
#include <cmath>

#include <nlohmann/json.hpp>

namespace frsh {
namespace {

// Builds the value from the library's parser events, because the library itself would accept a
// repeated key and any depth.
class Builder : public nlohmann::json_sax<nlohmann::json> {
  public:
    Json result;
    std::string problem;

    bool null() override { return put(Json()); }
    bool boolean(bool value) override { return put(Json(value)); }
    bool number_integer(number_integer_t value) override { return put(Json(value)); }
    bool number_unsigned(number_unsigned_t value) override { return put(Json(value)); }
    bool number_float(number_float_t value, const string_t&) override { return put(Json(value)); }
    bool string(string_t& value) override { return put(Json(std::move(value))); }
    bool binary(binary_t&) override { return false; }
    bool start_object(std::size_t) override { return open(Json(Json::Object{})); }
    bool end_object() override { return close(); }
    bool start_array(std::size_t) override { return open(Json(Json::Array{})); }
    bool end_array() override { return close(); }

    bool key(string_t& name) override {
        if (open_.back().value.find(name) != nullptr) {
            return refuse("repeated key \"" + escape_controls(name) + "\"");
        }
        open_.back().key = std::move(name);
        return true;
    }

    bool parse_error(std::size_t position, const std::string&,
                     const nlohmann::detail::exception&) override {
        return refuse("malformed JSON at byte " + std::to_string(position));
    }

  private:
    struct Level {
        std::string key;  // If this is an object: the key of the member that is being read.
        Json value;
    };

    bool refuse(std::string why) {
        if (problem.empty()) problem = std::move(why);
        return false;
    }

    bool put(Json value) {
        if (open_.empty()) {
            result = std::move(value);
            return true;
        }
        Level& level = open_.back();
        if (Json::Object* const members = level.value.object()) {
            members->emplace_back(std::move(level.key), std::move(value));
        } else {
            level.value.array()->push_back(std::move(value));
        }
        return true;
    }

    bool open(Json value) {
        if (open_.size() == Json::kMaxDepth) return refuse("nested deeper than 8");
        open_.push_back({{}, std::move(value)});
        return true;
    }

    bool close() {
        Json value = std::move(open_.back().value);
        open_.pop_back();
        return put(std::move(value));
    }

    std::vector<Level> open_;
};

void write_string(std::string& out, std::string_view text) {
    constexpr std::string_view kHex = "0123456789abcdef";
    out += '"';
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        switch (c) {
            case '"':
                out += "\\\"";
                break;
            case '\\':
                out += "\\\\";
                break;
            case '\n':
                out += "\\n";
                break;
            case '\r':
                out += "\\r";
                break;
            case '\t':
                out += "\\t";
                break;
            default:
                if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
                    out += "\\u00";
                    out += kHex[static_cast<unsigned char>(c) >> 4];
                    out += kHex[static_cast<unsigned char>(c) & 15];
                } else {
                    out += c;
                }
        }
    }
    out += '"';
}

// Replaces every byte that does not begin a well-formed character by U+FFFD.
std::string repaired(std::string_view text) {
    std::string result;
    for (std::size_t i = 0; i < text.size();) {
        std::size_t length = 1;
        while (length <= 4 && i + length <= text.size() && !is_utf8(text.substr(i, length))) {
            ++length;
        }
        if (length > 4 || i + length > text.size()) {
            result += "\xEF\xBF\xBD";
            ++i;
        } else {
            result += text.substr(i, length);
            i += length;
        }
    }
    return result;
}

template <typename Number>
void write_number(std::string& out, Number value) {
    char digits[32];
    const auto result = std::to_chars(digits, digits + sizeof digits, value);
    out.append(digits, result.ptr);
}

void write(std::string& out, const Json& json) {
    double fraction = 0;
    if (const bool* const flag = json.boolean()) {
        out += *flag ? "true" : "false";
    } else if (const std::uint64_t* const whole = json.whole()) {
        write_number(out, *whole);
    } else if (const std::int64_t* const negative = json.negative()) {
        write_number(out, *negative);
    } else if (const std::string* const text = json.string()) {
        write_string(out, is_utf8(*text) ? *text : repaired(*text));
    } else if (const Json::Array* const items = json.array()) {
        out += '[';
        for (const Json& item : *items) {
            if (&item != items->data()) out += ',';
            write(out, item);
        }
        out += ']';
    } else if (const Json::Object* const members = json.object()) {
        out += '{';
        for (const auto& [key, value] : *members) {
            if (&key != &members->front().first) out += ',';
            write_string(out, key);
            out += ':';
            write(out, value);
        }
        out += '}';
    } else if (json.number(fraction) && std::isfinite(fraction)) {
        write_number(out, fraction);
    } else {
        out += "null";
    }
}

}  // namespace

Json Json::parse(std::string_view text) {
    if (!is_utf8(text)) throw ProtocolError("JSON is not valid UTF-8");
    // RFC 8259, section 8.1, forbids a byte order mark; the library would skip it.
    if (text.starts_with("\xEF\xBB\xBF")) throw ProtocolError("JSON begins with a byte order mark");
    // The library ends the text at a NUL and would ignore the bytes behind it.
    if (text.find('\0') != std::string_view::npos) throw ProtocolError("JSON has a NUL in it");
    Builder builder;
    const bool parsed = nlohmann::json::sax_parse(text.begin(), text.end(), &builder);
    if (!parsed) throw ProtocolError(builder.problem.empty() ? "malformed JSON" : builder.problem);
    return std::move(builder.result);
}

std::string Json::dump() const {
    std::string text;
    write(text, *this);
    return text;
}

bool Json::number(double& result) const {
    if (const auto* const positive = whole()) {
        result = static_cast<double>(*positive);
    } else if (const auto* const below_zero = negative()) {
        result = static_cast<double>(*below_zero);
    } else if (const auto* const fraction = std::get_if<double>(&value_)) {
        result = *fraction;
    } else {
        return false;
    }
    return true;
}

const Json* Json::find(std::string_view key) const {
    if (const Object* const members = object()) {
        for (const auto& [name, value] : *members) {
            if (name == key) return &value;
        }
    }
    return nullptr;
}

}  // namespace frsh
