// The lessons, in the order they build on each other.
#pragma once

#include "client/demo/story.hpp"

#include <functional>
#include <vector>

namespace frsh::demo {

struct Lesson {
    const char* name;  // As on the command line.
    Text title;
    Text question;
    // Throws SysError if the lesson cannot begin on this machine.
    std::function<void(Story& story, unsigned seed)> run;
};

[[nodiscard]] const std::vector<Lesson>& lessons();

void lesson_layers(Story& story, unsigned seed);
void lesson_flow(Story& story, unsigned seed);
void lesson_merge(Story& story, unsigned seed);
void lesson_split(Story& story, unsigned seed);
void lesson_naive(Story& story, unsigned seed);
void lesson_empty(Story& story, unsigned seed);
void lesson_frame(Story& story, unsigned seed);
void lesson_udp(Story& story, unsigned seed);
void lesson_server(Story& story, unsigned seed);
void lesson_cures(Story& story, unsigned seed);
void lesson_framings(Story& story, unsigned seed);

// The addresses that lesson_flow compares. Defined in flow_more.cpp.
void flow_close(Story& story);
void flow_queue(Story& story);
void flow_ports(Story& story);
void flow_unix(Story& story);

// Parts of lesson_frame, defined in frame_more.cpp.
void frame_byte_order(Story& story);
void frame_file(Story& story);

// Parts of lesson_server, defined in server_many.cpp.
void server_crowd(Story& story);
void server_crash(Story& story);

}  // namespace frsh::demo
