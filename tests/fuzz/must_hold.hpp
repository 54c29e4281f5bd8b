// What every fuzz target says where a promise is broken: the fuzzer takes an abort for a finding.
#pragma once

#include <cstdlib>

inline void must_hold(bool holds) {
    if (!holds) std::abort();
}
