#include "device/virtio/pmem.h"

#include <array>

namespace eidolon::device::virtio {

namespace {
constexpr uint16_t kType = 27, kQueueSize = 64;
constexpr uint32_t kFlush = 0;                // VIRTIO_PMEM_REQ_TYPE_FLUSH (5.19.6)
constexpr uint32_t kDone = 0, kFailed = ~0u;  // "0" and "-1" (5.19.7)
}  // namespace

Pmem::Pmem(std::string name, storage::Medium& medium, GuestPhysical start)
    : RequestDevice(
          {.name = std::move(name), .type = kType, .queue_sizes = {kQueueSize}, .class_code = 0x018000}, 1,
          1),
      medium_(medium),
      start_(start) {}

/// What a flush is of, the host's kernel knows: pages that were written by way of the mapping go to the disk
/// as those that were written to the file.
uint32_t Pmem::execute(unsigned /*queue*/, const Chain& chain) {
  uint32_t type = 0;
  uint32_t result = kFailed;
  if (chain.read(dma(), 0, &type, sizeof type) && type == kFlush)
    result = medium_.read_only() || medium_.flush() == storage::IoStatus::kDone ? kDone : kFailed;
  return chain.write(dma(), 0, &result, sizeof result) ? sizeof result : 0;
}

/// start and size (5.19.4).
std::vector<uint8_t> Pmem::config() {
  const std::array<uint64_t, 2> fields = {start_, medium_.size()};
  std::vector<uint8_t> bytes(sizeof fields);
  std::memcpy(bytes.data(), fields.data(), sizeof fields);
  return bytes;
}

}  // namespace eidolon::device::virtio
