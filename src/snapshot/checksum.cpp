#include "snapshot/checksum.h"

// The state's definition, so that it needs no allocation of the library's, which can fail.
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

namespace eidolon::snapshot {

uint64_t checksum(Bytes bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

struct RunningChecksum::State {
  XXH3_state_t xxh3;
};

RunningChecksum::RunningChecksum() : state_(std::make_unique<State>()) {
  XXH3_INITSTATE(&state_->xxh3);
  restart();
}
RunningChecksum::~RunningChecksum() = default;

void RunningChecksum::restart() { XXH3_64bits_reset(&state_->xxh3); }
void RunningChecksum::add(Bytes bytes) { XXH3_64bits_update(&state_->xxh3, bytes.data(), bytes.size()); }
uint64_t RunningChecksum::value() const { return XXH3_64bits_digest(&state_->xxh3); }

}  // namespace eidolon::snapshot
