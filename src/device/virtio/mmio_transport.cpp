#include "device/virtio/mmio_transport.h"

namespace eidolon::device::virtio {

namespace {

constexpr uint32_t kMagicValue = 0x74726976, kVersionValue = 2, kVendorValue = 0x1af4;
constexpr uint32_t kNoRegion = 0xffffffff;  ///< half the length of shared memory that is not there (4.2.2)

enum Register : uint64_t {
  kMagic = 0x000,
  kVersion = 0x004,
  kDeviceId = 0x008,
  kVendorId = 0x00c,
  kDeviceFeatures = 0x010,
  kDeviceFeaturesSelect = 0x014,
  kDriverFeatures = 0x020,
  kDriverFeaturesSelect = 0x024,
  kQueueSelect = 0x030,
  kQueueSizeMost = 0x034,
  kQueueSize = 0x038,
  kQueueReady = 0x044,
  kQueueNotify = MmioTransport::kNotifyAt,
  kInterruptStatus = 0x060,
  kInterruptAcknowledge = 0x064,
  kStatus = 0x070,
  kQueueDescriptors = 0x080,
  kQueueDriver = 0x090,
  kQueueDevice = 0x0a0,
  kSharedLengthLow = 0x0b0,
  kSharedLengthHigh = 0x0b4,
  kSharedBaseLow = 0x0b8,
  kSharedBaseHigh = 0x0bc,
  kConfigGeneration = 0x0fc,
  kConfig = 0x100,
};

}  // namespace

MmioTransport::MmioTransport(virtio::Device& device, memory::GuestMemory& memory, IrqLine& wire)
    : device_(device), registers_(device), dma_(memory), wire_(wire) {
  device_.connect(dma_, *this);
}

/// Registers are read and written as a whole, the configuration in any part of it (4.2.2.2).
uint64_t MmioTransport::io_read(uint64_t offset, unsigned size) {
  if (offset >= kConfig) return device_.read_config(offset - kConfig, size);
  return size == 4 && offset % 4 == 0 ? read_register(offset) : 0;
}

void MmioTransport::io_write(uint64_t offset, unsigned size, uint64_t value) {
  if (offset >= kConfig) return device_.write_config(offset - kConfig, size, value);
  if (size == 4 && offset % 4 == 0) write_register(offset, static_cast<uint32_t>(value));
}

uint32_t MmioTransport::read_register(uint64_t offset) {
  switch (offset) {
    case kMagic:
      return kMagicValue;
    case kVersion:
      return kVersionValue;
    case kDeviceId:
      return device_.shape().type;
    case kVendorId:
      return kVendorValue;
    case kDeviceFeatures:
      return registers_.device_features();
    case kQueueSizeMost: {
      const std::vector<uint16_t>& sizes = device_.shape().queue_sizes;
      const unsigned queue = registers_.queue();
      return queue < sizes.size() ? sizes[queue] : 0;
    }
    case kQueueReady:
      return registers_.queue_enabled() ? 1 : 0;
    case kInterruptStatus: {
      std::lock_guard lock(mutex_);
      return causes_;
    }
    case kStatus:
      return device_.status();
    case kSharedLengthLow:
    case kSharedLengthHigh:
    case kSharedBaseLow:
    case kSharedBaseHigh:
      return kNoRegion;
    case kConfigGeneration:
    default:
      return 0;
  }
}

void MmioTransport::write_register(uint64_t offset, uint32_t value) {
  switch (offset) {
    case kDeviceFeaturesSelect:
      return registers_.select_device_features(value);
    case kDriverFeatures:
      return registers_.set_driver_features(value);
    case kDriverFeaturesSelect:
      return registers_.select_driver_features(value);
    case kQueueSelect:
      return registers_.select_queue(value);
    case kQueueSize:
      return registers_.set_queue_size(value);
    case kQueueReady:
      return value == 1 ? registers_.enable_queue() : registers_.disable_queue();
    case kQueueNotify:
      return device_.notify(value);
    case kInterruptAcknowledge:
      return acknowledge(static_cast<uint8_t>(value));
    case kStatus:
      return static_cast<uint8_t>(value) == 0 ? reset() : device_.set_status(static_cast<uint8_t>(value));
    case kQueueDescriptors:
    case kQueueDescriptors + 4:
      return registers_.set_queue_address(&RingPlace::descriptors, offset != kQueueDescriptors, value);
    case kQueueDriver:
    case kQueueDriver + 4:
      return registers_.set_queue_address(&RingPlace::driver, offset != kQueueDriver, value);
    case kQueueDevice:
    case kQueueDevice + 4:
      return registers_.set_queue_address(&RingPlace::device, offset != kQueueDevice, value);
    default:
      return;
  }
}

void MmioTransport::interrupt(uint8_t cause) {
  std::lock_guard lock(mutex_);
  causes_ |= cause;
  wire_.set(true);
}

void MmioTransport::acknowledge(uint8_t causes) {
  std::lock_guard lock(mutex_);
  causes_ = static_cast<uint8_t>(causes_ & ~causes);
  wire_.set(causes_ != 0);
}

void MmioTransport::reset() {
  device_.reset();
  registers_.reset();
  acknowledge(0xff);
}

void MmioTransport::save(StateWriter& to) const {
  to.begin(name(), 1);
  registers_.save(to);
  {
    std::lock_guard lock(mutex_);
    to(causes_);
  }
  device_.save(to);
  to.end();
}

void MmioTransport::load(StateReader& from) {
  from.begin(name());
  registers_.load(from);
  uint8_t causes = 0;
  from(causes);
  acknowledge(0xff);
  device_.load(from);
  from.end();
  if (from.failed() || (causes & ~(kCauseQueue | kCauseConfig)) != 0) {
    from.fail();
    return reset();
  }
  // Besides what the device itself has had to say meanwhile.
  if (causes != 0) interrupt(causes);
}

}  // namespace eidolon::device::virtio
