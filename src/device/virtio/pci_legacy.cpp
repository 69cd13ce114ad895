// The legacy interface: registers in the port space that drivers older than virtio 1.0 know (virtio 1.2,
// 4.1.4.10; what they mean is in the sections called "Legacy Interface"). Fields are in the guest's byte
// order, which is that of x86.
#include <algorithm>
#include <array>

#include "base/bits.h"
#include "device/virtio/pci_transport.h"

namespace eidolon::device::virtio {

namespace {

enum Register : uint64_t {
  kDeviceFeatures = 0x00,
  kDriverFeatures = 0x04,
  kQueueAddress = 0x08,
  kQueueSize = 0x0c,
  kQueueSelect = 0x0e,
  kQueueNotify = 0x10,
  kDeviceStatus = 0x12,
  kIsrStatus = 0x13,
  // While MSI-X is enabled; the device's configuration begins here otherwise.
  kConfigVector = 0x14,
  kQueueVector = 0x16,
};
constexpr uint64_t kCommonBytes = 0x14, kCommonBytesWithVectors = 0x18;

/// The three parts follow one another in memory, the used ring on a page of its own (2.7.2).
constexpr uint64_t kRingAlignment = 4096;

}  // namespace

uint64_t PciTransport::Legacy::common_bytes() const {
  return transport_.uses_messages() ? kCommonBytesWithVectors : kCommonBytes;
}

uint64_t PciTransport::Legacy::io_read(uint64_t offset, unsigned size) {
  if (const uint64_t common = common_bytes(); offset >= common)
    return device_.read_config(offset - common, size);
  const unsigned queue = transport_.registers_.queue();
  const RingPlace place = device_.queue_place(queue);
  const uint64_t address = device_.queue_enabled(queue) ? place.descriptors / kRingAlignment : 0;
  const auto [config_vector, queue_vector] = transport_.vectors(queue);
  std::array<uint8_t, kCommonBytesWithVectors + 8> bytes{};
  const auto put = [&bytes](uint64_t at, auto value) {
    std::memcpy(bytes.data() + at, &value, sizeof value);
  };
  put(kDeviceFeatures, half_of(device_.offered_features(), 0));
  put(kDriverFeatures, half_of(device_.accepted_features(), 0));
  put(kQueueAddress, static_cast<uint32_t>(address));
  put(kQueueSize, place.size);
  put(kQueueSelect, static_cast<uint16_t>(queue));
  put(kDeviceStatus, static_cast<uint8_t>(device_.status() & ~kStatusFeaturesOk));
  if (offset <= kIsrStatus && kIsrStatus - offset < size) put(kIsrStatus, transport_.take_causes());
  put(kConfigVector, config_vector);
  put(kQueueVector, queue_vector);
  uint64_t value = 0;
  std::memcpy(&value, bytes.data() + offset, std::min<uint64_t>(size, 8));
  return value;
}

void PciTransport::Legacy::io_write(uint64_t offset, unsigned size, uint64_t value) {
  if (const uint64_t common = common_bytes(); offset >= common)
    return device_.write_config(offset - common, size, value);
  switch (offset) {
    case kDriverFeatures:
      // Nothing tells these drivers that something else is not to be had.
      return device_.accept_features(value & device_.offered_features() & mask_below(32));
    case kQueueAddress:
      return set_queue_address(static_cast<uint32_t>(value));
    case kQueueSelect:
      return transport_.registers_.select_queue(static_cast<uint16_t>(value));
    case kQueueNotify:
      return device_.notify(static_cast<uint16_t>(value));
    case kDeviceStatus:
      return transport_.set_status(static_cast<uint8_t>(value), Interface::kLegacy);
    case kConfigVector:
    case kQueueVector:
      return transport_.set_vector(offset == kConfigVector, static_cast<uint16_t>(value));
    default:
      return;
  }
}

/// One number says where the ring is and that it is to be used, or, as 0, that it is not (4.1.5.1.3.1). Its
/// size is the device's choice.
void PciTransport::Legacy::set_queue_address(uint32_t page) {
  DriverRegisters& registers = transport_.registers_;
  if (page == 0) return registers.disable_queue();
  device_.change_queue(registers.queue(), [page](RingPlace& place) {
    const uint64_t available_bytes = 2 * (uint64_t{place.size} + 3);  // with flags, index and event
    place.descriptors = page * kRingAlignment;
    place.driver = place.descriptors + kDescriptorBytes * place.size;
    place.device = align_up(place.driver + available_bytes, kRingAlignment);
  });
  registers.enable_queue();
}

}  // namespace eidolon::device::virtio
