// The lessons in a browser: a web server on loopback, for the user that started it; with a class,
// on all addresses.
//
// The page, its style and its script are inside the program; nothing is fetched from elsewhere.
// Each lesson runs in a process of its own, and its events go to the page as server-sent events.
// SECURITY: a request needs the token of the printed address. The server refuses a foreign Host (a
// name that was rebound to 127.0.0.1) and a foreign Origin (a script of another page). It has no
// TLS, so in a class the tokens are readable for everything on the network.
#pragma once

#include "client/demo/text.hpp"

namespace frsh::demo {

enum class Audience { Self, Class };
enum class Size { Screen, Projector };

// Prints the address and serves until a signal ends the process. With Audience::Class the port is
// open to the network. A second address, for the class, follows the lecturer and starts nothing.
// Throws UserError if this program was built without cpp-httplib.
int serve(Language language, Audience audience, Size size);

}  // namespace frsh::demo
