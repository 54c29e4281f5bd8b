// Aborts if a promise is broken: a fuzzer reports each abort as a finding.
#pragma once

#include <cstdlib>

inline void must_hold(bool holds) {
    if (!holds) std::abort();
}
