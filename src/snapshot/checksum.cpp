#include "snapshot/checksum.h"

#include <xxhash.h>

namespace eidolon::snapshot {

uint64_t checksum(Bytes bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

}  // namespace eidolon::snapshot
