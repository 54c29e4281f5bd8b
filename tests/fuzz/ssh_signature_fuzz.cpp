// Signatures from a peer, against one key of each type: the first byte chooses the key.
#include "common/base/error.hpp"
#include "common/keys/ssh_key.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace {

const frsh::PublicKey& key_number(std::size_t number) {
    static const std::array keys = {
        frsh::PublicKey::from_text(
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGP4B7q6HlE6X+5hb5Velt74PI3PHyj5f3nMMHV/aaPV"),
        frsh::PublicKey::from_text(
            "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBFZIq6j8NkFc"
            "dHzYrOu5+tbtp1kyWMhFbnWEH9awGmQbEHT5RqJaawCVZH0PdZhQMgX4pq9hJ92F3hV60l/Ynls="),
        frsh::PublicKey::from_text(
            "ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBMFgMZkhX3Hf"
            "ZGRJ97fD76DQlEOQIGJap9zjJhFUnu8ITt+TquF17QwPWf6pxwZHJynGu4lO3TEAAOa+F1rFqR9L/tXC12VI"
            "F+bjuj1Qcb/NQYV/qytECZbG9XxWIN3zFg=="),
        frsh::PublicKey::from_text(
            "ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBADMYUaO5aNp"
            "IgyMO6CFyr8blVj98fhDubvHeRLp0dA+l1UY7YgTBo2dp371a/f87qzx2So1Yal/UCP/32sV0u/LVgHKvK1x"
            "lVjE2kiqnBt7wBMUuhONwI86fREOmFE8icB33jY/6nBqhzMq+Vvk5sXemQgdcTX5nEoR48wknnxUaYSjKA=="),
        frsh::PublicKey::from_text(
            "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDyRHEMu/e58C9Q+KI2bgioF1jtJR7lZ0Ltm6lgzDjLZQTt"
            "/eP7fvX9rm+w3G15lkL2utGSAenAXVjLYEbdKphq9BmESbYzt3tz6pxokZ7lpxW4a6K9VPMEc6Yr76UAJ6Tw"
            "zoAcQAmTimEyWGoAiCory9X/myBO19Q0ydUL0hTzZUOlG6NpzgSJ3gdDqX6LvGQzZXO6x7it5QgIVKWNaVA6"
            "t7JDjBohMX2489ZvHrYlvbpgKsxoLVNJqnWzv5mFrOxzNS8TUhiazH0Nptx9Eci2pbI3g+tg8yR69gWb5Zvo"
            "0hTwmskXMqFYxhbok5poV4M5M/I8oj4GAOSEuRwpQBsb"),
        frsh::PublicKey::from_text(
            "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIGP4B7q6HlE6X"
            "+5hb5Velt74PI3PHyj5f3nMMHV/aaPVAAAABHNzaDo="),
        frsh::PublicKey::from_text(
            "sk-ecdsa-sha2-nistp256@openssh.com AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5jb"
            "20AAAAIbmlzdHAyNTYAAABBBFZIq6j8NkFcdHzYrOu5+tbtp1kyWMhFbnWEH9awGmQbEHT5RqJaawCVZH0Pd"
            "ZhQMgX4pq9hJ92F3hV60l/YnlsAAAAEc3NoOg=="),
    };
    return keys[number % keys.size()];
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    if (input.empty()) return 0;
    const frsh::PublicKey& key = key_number(data[0]);
    const std::string_view signature = input.substr(1);
    if (key.verify("message", signature)) {
        frsh::must(!key.verify("another message", signature), "a signature is for its message");
        frsh::must(!key.verify("message", std::string(signature) + "x"), "nothing may follow");
    }
    return 0;
}
