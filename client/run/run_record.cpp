#include "client/run/run_record.hpp"

#include "common/base/text.hpp"

namespace frsh {
namespace {

Json stream_json(const RemoteRun& run, StreamId stream, const StreamSummary& summary,
                 const SpooledOutput* held) {
    Json json = to_json(summary);
    if (const Offset from = run.begun_at(stream)) json.object()->emplace_back("from", from);
    if (held == nullptr) return json;
    std::string content = held->content();
    if (is_utf8(content)) {
        json.object()->emplace_back("text", std::move(content));
    } else {
        json.object()->emplace_back("base64", base64_encode(content));
    }
    return json;
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

std::string record_of(const RemoteRun& run, const Outcome& outcome, const Asked& asked,
                      const SpooledOutput* out, const SpooledOutput* err) {
    const auto& end = run.end();
    // For a lost run, the record has the counts of the bytes that arrived.
    const bool is_lost = !end || std::holds_alternative<Lost>(outcome);
    Json::Object members{{"run", run.id()}};
    add_bytes(members, "target", asked.target);
    if (asked.is_known) add_command(members, asked);
    members.emplace_back("outcome", to_json(outcome));
    for (const auto& [id, told, held] : {std::tuple(StreamId::Stdout, &msg::End::out, out),
                                         {StreamId::Stderr, &msg::End::err, err}}) {
        const StreamSummary summary = is_lost ? run.received(id) : (*end).*told;
        members.emplace_back(std::string(name_of(id)), stream_json(run, id, summary, held));
    }
    members.emplace_back("usage", end && end->usage ? to_json(*end->usage) : Json());
    for (const auto& [name, processes] :
         {std::pair("holders", &msg::End::holders), {"survivors", &msg::End::survivors}}) {
        Json list = end ? to_json((*end).*processes) : Json(Json::Array{});
        // None that were seen is not none.
        if (end && end->is_unseen && ((*end).*processes).empty()) list = Json();
        members.emplace_back(name, std::move(list));
    }
    if (end && end->is_unseen) members.emplace_back("unseen", true);
    if (end && end->generation) members.emplace_back("shell_generation", *end->generation);
    if (end && end->journal) members.emplace_back("journal", *end->journal);
    return Json(std::move(members)).dump();
}

}  // namespace frsh
