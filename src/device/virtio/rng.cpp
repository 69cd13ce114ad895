#include "device/virtio/rng.h"

#include <sys/random.h>

#include <algorithm>
#include <array>

namespace eidolon::device::virtio {

namespace {
constexpr uint16_t kType = 4, kQueueSize = 64;
/// The driver gets fewer bytes than it has room for when it asks for a lot (5.4.6.1 allows that).
constexpr uint64_t kMostBytes = 64 * 1024;
}  // namespace

Rng::Rng(std::string name)
    : RequestDevice({.name = std::move(name), .type = kType, .queue_sizes = {kQueueSize}}, 1, 1) {}

uint32_t Rng::execute(unsigned /*queue*/, const Chain& chain) {
  const uint64_t wanted = std::min(chain.writable_bytes(), kMostBytes);
  std::array<uint8_t, 256> bytes;
  uint64_t done = 0;
  while (done < wanted) {
    const size_t part = std::min<uint64_t>(bytes.size(), wanted - done);
    if (getrandom(bytes.data(), part, 0) != static_cast<ssize_t>(part)) break;
    if (!chain.write(dma(), done, bytes.data(), part)) break;
    done += part;
  }
  return static_cast<uint32_t>(done);
}

}  // namespace eidolon::device::virtio
