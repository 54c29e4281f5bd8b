#include "client/record.hpp"

#include "common/base/text.hpp"

namespace frsh {
namespace {

Json stream_json(const StreamSummary& summary, const HeldOutput* held) {
    Json json = to_json(summary);
    if (held == nullptr) return json;
    std::string content = held->content();
    if (is_utf8(content)) {
        json.object()->emplace_back("text", std::move(content));
    } else {
        json.object()->emplace_back("base64", base64_encode(content));
    }
    return json;
}

void add_command(Json::Object& members, const Asked& asked) {
    if (!asked.is_argv) {
        add_bytes(members, "command", join_words(asked.words));
        return;
    }
    Json::Array texts;
    Json::Array encoded;
    bool all_text = true;
    for (const std::string& word : asked.words) {
        all_text = all_text && is_utf8(word);
        texts.emplace_back(word);
        encoded.emplace_back(base64_encode(word));
    }
    if (all_text) {
        members.emplace_back("command", std::move(texts));
    } else {
        members.emplace_back("command_b64", std::move(encoded));
    }
}

}  // namespace

std::string join_words(const std::vector<std::string>& words) {
    std::string joined;
    for (const std::string& word : words) {
        if (&word != &words.front()) joined += ' ';
        joined += word;
    }
    return joined;
}

std::string record_of(const RemoteRun& run, const Outcome& outcome, const Asked& asked,
                      const HeldOutput* out, const HeldOutput* err) {
    const auto& end = run.end();
    // Of a lost run the record says what did arrive.
    const bool is_lost = !end || std::holds_alternative<Lost>(outcome);
    Json::Object members{{"run", run.id()}};
    add_bytes(members, "target", asked.target);
    add_command(members, asked);
    members.emplace_back("outcome", to_json(outcome));
    members.emplace_back("stdout",
                         stream_json(is_lost ? run.received(StreamId::Stdout) : end->out, out));
    members.emplace_back("stderr",
                         stream_json(is_lost ? run.received(StreamId::Stderr) : end->err, err));
    members.emplace_back("usage", end && end->usage ? to_json(*end->usage) : Json());
    members.emplace_back("holders", end ? to_json(end->holders) : Json(Json::Array{}));
    members.emplace_back("survivors", end ? to_json(end->survivors) : Json(Json::Array{}));
    return Json(std::move(members)).dump();
}

}  // namespace frsh
