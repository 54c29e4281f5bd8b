#include "common/proto/checksum.hpp"

#include <libdeflate.h>

namespace frsh {

void Crc32::update(std::string_view bytes) {
    // The library takes a null pointer for "give me the first value", whatever was counted so far.
    if (!bytes.empty()) value_ = ::libdeflate_crc32(value_, bytes.data(), bytes.size());
}

}  // namespace frsh
