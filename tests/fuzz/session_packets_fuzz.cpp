// Fuzzes what the listener reads from its sessions: requests for admission, and records for the
// audit. After a login, a session is a process of its user, which may send any packet.
#include "common/base/error.hpp"
#include "common/proto/json.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"
#include "server/audit_file.hpp"
#include "server/listener/audit_recorder.hpp"
#include "server/login/admission.hpp"
#include "tests/fuzz/must_hold.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace frsh;

namespace {

constexpr std::size_t kMaxText = std::size_t{1} << 20;
constexpr const char* kMark = "FRSH_SESSION=1-2";

void request_admission(std::string_view packet) {
    const AdmissionRequest request = parse_admission_request(packet);
    must_hold(encode(request).size() <= 8 * packet.size() + 256);
    const AdmissionRequest again = parse_admission_request(encode(request));
    must_hold(again.uid == request.uid && again.gid == request.gid);
    must_hold(again.bound_key == request.bound_key && again.subject == request.subject &&
              again.details == request.details);
}

// Each line of the file is one object, with the session that the listener knows. An exception here
// is a finding.
void check_lines(int file, bool is_admitted) noexcept {
    std::string text(static_cast<std::size_t>(::lseek(file, 0, SEEK_END)), '\0');
    must_hold(::pread(file, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
    must_hold(text.empty() || text.back() == '\n');
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        const std::string_view line = std::string_view(text).substr(0, end);
        must_hold(line.find(kMark) != std::string_view::npos);
        // Before the login only the server's own processes send, so their members are trusted.
        if (is_admitted) {
            const JsonObject members = JsonObject::parse(line);
            must_hold(members.text("session", kMaxText) == kMark);
            must_hold(members.text("user", kMaxText) == "alice");
        }
        text.erase(0, end + 1);
    }
}

// The packets stand one after the other, each ended by a NUL byte.
void record(std::string_view packets, bool is_admitted) {
    static const Fd file(check(::memfd_create("audit", MFD_CLOEXEC), "memfd_create"));
    check(::ftruncate(file.get(), 0), "ftruncate");
    EventLoop loop;
    AuditFile audit;
    audit.open("/proc/self/fd/" + std::to_string(file.get()));
    AuditRecorder recorder(loop, audit);
    recorder.begin(::getpid(), kMark);
    if (is_admitted) {
        must_hold(recorder.admit(::getpid(), R"({"from":"peer","user":"alice"})", "{}"));
    }
    while (!packets.empty()) {
        const std::string_view packet = packets.substr(0, packets.find('\0'));
        (void)::send(recorder.sender(), packet.data(), packet.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        packets.remove_prefix(packet.size());
        if (!packets.empty()) packets.remove_prefix(1);
    }
    recorder.ended(::getpid(), "it died");
    check_lines(file.get(), is_admitted);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    try {
        // With "+", the packets come from a session that was admitted.
        if (input[0] == '?') {
            request_admission(input);
        } else {
            record(input.substr(1), input[0] == '+');
        }
    } catch (const ProtocolError&) {
    }
    return 0;
}
