// TLS.
#pragma once
#include <stdexcept>
namespace frsh {
class TlsError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};
}  // namespace frsh
