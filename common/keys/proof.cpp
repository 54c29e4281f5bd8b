#include "common/keys/proof.hpp"

#include "common/base/error.hpp"
#include "common/keys/ssh_wire.hpp"
#include "common/keys/sshsig.hpp"

#include <utility>

namespace frsh {
namespace {

constexpr std::string_view kHostLabel = "frsh-host-v1";
constexpr std::string_view kUserLabel = "frsh-auth-v1";

WireReader open_payload(std::string_view payload, std::string_view subject) {
    WireReader reader(payload, subject);
    if (payload.size() > kMaxProof) reader.refuse("too long");
    return reader;
}

std::string read_user(WireReader& reader) {
    const std::string_view user = reader.string(kMaxUserName);
    if (user.empty()) reader.refuse("no user");
    // The name becomes a C string later, which ends at a NUL and could then name another user.
    if (user.find('\0') != std::string_view::npos) reader.refuse("a user with a NUL");
    return std::string(user);
}

// Checks the lengths of binding and nonce. They are fixed, so a signed message can be split into
// its parts in one way only.
void check_context(const ProofContext& context) {
    must(context.binding.size() == kBindingSize, "a channel binding has 32 bytes");
    must(context.nonce.size() == kNonceSize, "a nonce has 16 bytes");
}

}  // namespace

std::string host_proof_message(const ProofContext& context) {
    check_context(context);
    return WireWriter().raw(kHostLabel).raw(context.binding).raw(context.nonce).take();
}

std::string user_proof_message(const ProofContext& context, const PublicKey& host_key,
                               std::string_view user) {
    check_context(context);
    return WireWriter()
        .raw(kUserLabel)
        .raw(context.binding)
        .raw(context.nonce)
        .string(host_key.blob())
        .string(user)
        .take();
}

std::string encode(const HostProof& proof) {
    WireWriter writer;
    writer.string(proof.key.blob()).string(proof.signature);
    if (proof.certificate) writer.string(proof.certificate->blob);
    return writer.take();
}

std::string encode(const UserProof& proof) {
    const std::string& blob = proof.certificate ? proof.certificate->blob : proof.key.blob();
    return WireWriter().string(proof.user).string(blob).string(proof.signature).take();
}

std::string encode(const UserProbe& probe) {
    must(!probe.keys.empty() && probe.keys.size() <= kMaxProbes, "a probe has 1 to 6 keys");
    WireWriter writer;
    writer.string(probe.user);
    for (const Credential& key : probe.keys)
        writer.string(key.blob());
    return writer.take();
}

HostProof parse_host_proof(std::string_view payload) {
    WireReader reader = open_payload(payload, "host proof");
    PublicKey key = PublicKey::from_blob(reader.string());
    std::string signature(reader.string());
    std::optional<Certificate> certificate;
    if (!reader.at_end()) {
        certificate = Certificate::from_blob(reader.string());
        if (!(certificate->key == key)) reader.refuse("a certificate of another key");
    }
    reader.finish();
    return {std::move(key), std::move(signature), std::move(certificate)};
}

UserProof parse_user_proof(std::string_view payload) {
    WireReader reader = open_payload(payload, "user proof");
    std::string user = read_user(reader);
    Credential credential = Credential::from_blob(reader.string());
    std::string signature(reader.string());
    reader.finish();
    return {std::move(user), std::move(credential.key), std::move(signature),
            std::move(credential.certificate)};
}

UserProbe parse_user_probe(std::string_view payload) {
    WireReader reader = open_payload(payload, "user probe");
    UserProbe probe{read_user(reader), {}};
    do {
        if (probe.keys.size() == kMaxProbes) reader.refuse("more than 6 keys");
        probe.keys.push_back(Credential::from_blob(reader.string()));
    } while (!reader.at_end());
    return probe;
}

bool is_proven(const HostProof& proof, const ProofContext& context) {
    return verify_sshsig(proof.key, kHostNamespace, host_proof_message(context), proof.signature);
}

bool is_proven(const UserProof& proof, const ProofContext& context, const PublicKey& host_key,
               Presence presence) {
    return verify_sshsig(proof.key, kUserNamespace,
                         user_proof_message(context, host_key, proof.user), proof.signature,
                         presence);
}

void warm_up_proofs(const PrivateKey& key) {
    must(verify_sshsig(key.public_key(), kHostNamespace, "warm",
                       sign_sshsig(key, kHostNamespace, "warm")),
         "a signature of our own is good");
}

}  // namespace frsh
