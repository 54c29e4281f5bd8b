#include "common/proto/checksum.hpp"

#include <libdeflate.h>

namespace frsh {

void Crc32::update(std::string_view bytes) {
    // If the pointer is null, the library returns the first value and ignores value_.
    if (!bytes.empty()) value_ = ::libdeflate_crc32(value_, bytes.data(), bytes.size());
}

}  // namespace frsh
