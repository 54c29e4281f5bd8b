// A network of two hosts and a router, made of namespaces (network_namespaces(7), veth(4)), in
// which every frame is captured (packet(7)).
//
//     alice 10.0.1.2 ── 10.0.1.1 router 10.0.2.1 ── 10.0.2.2 bob
//
// It needs no privilege where user namespaces are allowed (user_namespaces(7)). It is gone when
// record_journey() returns. The real network of the machine is not touched.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace frsh::demo {

struct CapturedFrame {
    std::string place;   // The interface: "alice", "router left", "router right", "bob".
    double seconds = 0;  // Since the first frame.
    std::string bytes;   // From the Ethernet header on.
};

// Sends "hello" from alice's port 9000 to bob's port 9001, and "hi" back. Then sends "anyone?" to
// 10.0.1.9, an address of alice's own subnet that no host has. Returns the frames in the order of
// their time. IPv6 is off. Throws SysError if this machine allows no such network.
[[nodiscard]] std::vector<CapturedFrame> record_journey();

// Frames as text: a line each, "PLACE|SECONDS|HEX".
[[nodiscard]] std::string to_lines(const std::vector<CapturedFrame>& frames);
// Throws std::runtime_error for a line of another form.
[[nodiscard]] std::vector<CapturedFrame> from_lines(std::string_view lines);

}  // namespace frsh::demo
