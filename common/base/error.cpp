#include "common/base/error.hpp"

#include <cstdio>
#include <cstdlib>

namespace frsh {

void broken_rule(const char* rule, const char* file, int line) {
    std::fprintf(stderr, "frsh: internal error: %s (%s:%d)\n", rule, file, line);
    std::abort();
}

}  // namespace frsh
