#include "client/run/run_record.hpp"

#include "common/base/text.hpp"

#include <tuple>
#include <utility>
#include <variant>

namespace frsh {
namespace {

JsonObject stream_json(const RemoteRun& run, StreamId stream, const StreamSummary& summary,
                       const SpooledOutput* held) {
    JsonObject json = to_json(summary);
    if (const Offset from = run.begun_at(stream)) json.add_whole("from", from);
    if (held == nullptr) return json;
    const std::string content = held->content();
    if (is_utf8(content)) {
        json.add_text("text", content);
    } else {
        json.add_text("base64", base64_encode(content));
    }
    return json;
}

JsonObject outcome_json(const Outcome& outcome, std::optional<std::uint64_t> retry_after) {
    JsonObject json = to_json(outcome);
    if (retry_after) json.add_whole("retry_after", *retry_after);
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

void add_command(JsonObject& record, const Asked& asked) {
    if (!asked.is_argv) return record.add_bytes("command", join_words(asked.words));
    std::vector<std::string> encoded;
    bool is_text = true;
    for (const std::string& word : asked.words) {
        is_text = is_text && is_utf8(word);
        encoded.push_back(base64_encode(word));
    }
    record.add_texts(is_text ? "command" : "command_b64", is_text ? asked.words : encoded);
}

std::string failure_record(const Asked& asked, const NotStarted& why,
                           std::optional<std::uint64_t> retry_after) {
    JsonObject record;
    record.add_bytes("target", asked.target);
    if (asked.is_known) add_command(record, asked);
    record.add_object("outcome", outcome_json(why, retry_after));
    for (const StreamId id : {StreamId::Stdout, StreamId::Stderr})
        record.add_object(name_of(id), to_json(StreamSummary{}));
    record.add_null("usage");
    for (const char* const name : {"holders", "survivors"})
        record.add_objects(name, std::vector<JsonObject>());
    return record.dump();
}

std::string record_of(const RemoteRun& run, const Outcome& outcome, const Asked& asked,
                      const SpooledOutput* out, const SpooledOutput* err) {
    const auto& end = run.end();
    // For a lost run, the record has the counts of the bytes that arrived.
    const bool is_lost = !end || std::holds_alternative<Lost>(outcome);
    JsonObject record;
    record.add_text("run", run.id());
    record.add_bytes("target", asked.target);
    if (asked.is_known) add_command(record, asked);
    record.add_object("outcome", outcome_json(outcome, run.retry_after()));
    for (const auto& [id, told, held] : {std::tuple(StreamId::Stdout, &msg::End::out, out),
                                         {StreamId::Stderr, &msg::End::err, err}}) {
        const StreamSummary summary = is_lost ? run.received(id) : (*end).*told;
        record.add_object(name_of(id), stream_json(run, id, summary, held));
    }
    if (end && end->usage) {
        record.add_object("usage", to_json(*end->usage));
    } else {
        record.add_null("usage");
    }
    for (const auto& [name, processes] :
         {std::pair("holders", &msg::End::holders), {"survivors", &msg::End::survivors}}) {
        // None that were seen is not none.
        if (end && end->is_unseen && ((*end).*processes).empty()) {
            record.add_null(name);
        } else {
            record.add_objects(name, end ? to_json((*end).*processes) : std::vector<JsonObject>());
        }
    }
    if (end && end->is_unseen) record.add_flag("unseen", true);
    if (end && end->generation) record.add_whole("shell_generation", *end->generation);
    if (end && end->journal) record.add_text("journal", *end->journal);
    if (asked.tls) {
        JsonObject tls;
        tls.add_text("group", asked.tls->group);
        tls.add_text("cipher", asked.tls->cipher);
        tls.add_text("host_key", asked.tls->host_key);
        tls.add_text("key", asked.tls->key);
        record.add_object("tls", tls);
    }
    return record.dump();
}

}  // namespace frsh
