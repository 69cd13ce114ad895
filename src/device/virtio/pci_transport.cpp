#include "device/virtio/pci_transport.h"

#include <algorithm>
#include <optional>

#include "base/bits.h"
#include "device/pci/registers.h"

namespace eidolon::device::virtio {

namespace {

constexpr uint16_t kVendor = 0x1af4, kFirstDevice = 0x1040;

// Structure types (4.1.4) and where they are in BAR 0.
constexpr uint8_t kCommonType = 1, kNotifyType = 2, kIsrType = 3, kDeviceType = 4, kWindowType = 5;
constexpr uint32_t kCommonAt = 0x0000, kIsrAt = 0x1000, kDeviceAt = 0x2000, kNotifyAt = 0x3000;
constexpr uint32_t kStructureBytes = 0x1000, kBarBytes = 0x4000, kCommonBytes = 0x38;
constexpr uint32_t kNotifyStride = 4;

// The capability: header, length, type, BAR, identifier, 2 of padding, offset, length (4.1.4).
constexpr unsigned kLengthAt = 2, kTypeAt = 3, kBarAt = 4, kOffsetAt = 8, kSizeAt = 12, kExtraAt = 16;
constexpr unsigned kPlainBytes = 16, kExtraBytes = 20;

// The common structure (4.1.4.3).
enum Common : uint64_t {
  kDeviceFeatureSelect = 0x00,
  kDeviceFeature = 0x04,
  kDriverFeatureSelect = 0x08,
  kDriverFeature = 0x0c,
  kConfigVector = 0x10,
  kQueueCount = 0x12,
  kDeviceStatus = 0x14,
  kConfigGeneration = 0x15,
  kQueueSelect = 0x16,
  kQueueSize = 0x18,
  kQueueVector = 0x1a,
  kQueueEnable = 0x1c,
  kQueueNotifyOffset = 0x1e,
  kQueueDescriptors = 0x20,
  kQueueDriver = 0x28,
  kQueueDevice = 0x30,
};

constexpr uint8_t kCauseQueue = 1, kCauseConfig = 2;

uint64_t half_of(uint64_t whole, uint32_t select) {
  return select < 2 ? whole >> (32 * select) & mask_below(32) : 0;
}
void set_half(uint64_t& whole, bool upper, uint32_t value) {
  whole = upper ? (whole & mask_below(32)) | uint64_t{value} << 32 : (whole & ~mask_below(32)) | value;
}

}  // namespace

PciTransport::PciTransport(virtio::Device& device)
    : Function(device.shape().name, {.vendor = kVendor,
                                     .device = static_cast<uint16_t>(kFirstDevice + device.shape().type),
                                     .class_code = device.shape().class_code,
                                     .revision = 1,
                                     .subsystem_vendor = kVendor,
                                     .subsystem = 0x1100}),
      device_(device),
      queues_(static_cast<unsigned>(device.shape().queue_sizes.size())),
      queue_vectors_(queues_, kNoVector) {
  add_bar(0, pci::BarKind::kMemory32, kBarBytes, *this);
  add_msix(1, queues_ + 1);
  add_interrupt_pin();
  add_power();
  add_express();
  add_structure(kDeviceType, kDeviceAt, kStructureBytes);
  add_structure(kIsrType, kIsrAt, 1);
  add_structure(kNotifyType, kNotifyAt, std::max(queues_, 1u) * kNotifyStride);
  add_structure(kCommonType, kCommonAt, kCommonBytes);
  add_window();
}

void PciTransport::add_structure(uint8_t type, uint32_t offset, uint32_t length) {
  const unsigned bytes = type == kNotifyType ? kExtraBytes : kPlainBytes;
  const unsigned at = config().add_capability(pci::kCapabilityVendor, bytes);
  config().define<uint8_t>(at + kLengthAt, static_cast<uint8_t>(bytes));
  config().define<uint8_t>(at + kTypeAt, type);
  config().define<uint32_t>(at + kOffsetAt, offset);
  config().define<uint32_t>(at + kSizeAt, length);
  if (type == kNotifyType) config().define<uint32_t>(at + kExtraAt, kNotifyStride);
}

void PciTransport::add_window() {
  window_at_ = config().add_capability(pci::kCapabilityVendor, kExtraBytes);
  config().define<uint8_t>(window_at_ + kLengthAt, kExtraBytes);
  config().define<uint8_t>(window_at_ + kTypeAt, kWindowType);
  config().define<uint8_t>(window_at_ + kBarAt, 0, 0xff);
  config().define<uint32_t>(window_at_ + kOffsetAt, 0, ~0u);
  config().define<uint32_t>(window_at_ + kSizeAt, 0, ~0u);
  config().define<uint32_t>(window_at_ + kExtraAt, 0, ~0u);
}

/// What the window's registers ask for, if it can be done (4.1.4.9).
std::optional<PciTransport::Access> PciTransport::window_access() const {
  return with_config([this](pci::ConfigSpace& config) -> std::optional<Access> {
    const auto offset = config.get<uint32_t>(window_at_ + kOffsetAt);
    const auto size = config.get<uint32_t>(window_at_ + kSizeAt);
    const bool valid = config.get<uint8_t>(window_at_ + kBarAt) == 0 &&
                       (size == 1 || size == 2 || size == 4) && offset % size == 0 &&
                       offset <= kBarBytes - size;
    return valid ? std::optional(Access{offset, size}) : std::nullopt;
  });
}

void PciTransport::before_config_read(unsigned offset, unsigned size) {
  if (offset + size <= window_at_ + kExtraAt || offset >= window_at_ + kExtraBytes) return;
  const std::optional<Access> access = window_access();
  if (!access) return;
  const auto value = static_cast<uint32_t>(io_read(access->offset, access->size));
  with_config([&](pci::ConfigSpace& config) { config.set(window_at_ + kExtraAt, value); });
}

void PciTransport::config_written(unsigned offset, unsigned size) {
  if (offset + size <= window_at_ + kExtraAt || offset >= window_at_ + kExtraBytes) return;
  const std::optional<Access> access = window_access();
  if (!access) return;
  const auto value =
      with_config([this](pci::ConfigSpace& config) { return config.get<uint32_t>(window_at_ + kExtraAt); });
  io_write(access->offset, access->size, value & mask_below(access->size * 8));
}

uint64_t PciTransport::io_read(uint64_t offset, unsigned size) {
  if (offset >= kDeviceAt && offset < kNotifyAt) return device_.read_config(offset - kDeviceAt, size);
  if (offset >= kIsrAt && offset < kDeviceAt) return offset == kIsrAt ? take_causes() : 0;
  if (offset < kCommonBytes) return read_common(offset, size);
  return 0;
}

void PciTransport::io_write(uint64_t offset, unsigned size, uint64_t value) {
  if (offset >= kNotifyAt) {
    device_.notify(static_cast<unsigned>((offset - kNotifyAt) / kNotifyStride));
  } else if (offset >= kDeviceAt && offset < kNotifyAt) {
    device_.write_config(offset - kDeviceAt, size, value);
  } else if (offset < kCommonBytes && size == 8) {
    write_common(offset, 4, value & mask_below(32));
    write_common(offset + 4, 4, value >> 32);
  } else if (offset < kCommonBytes) {
    write_common(offset, size, value);
  }
}

/// Reading clears it and takes the wire down (4.1.4.5).
uint8_t PciTransport::take_causes() {
  std::lock_guard lock(mutex_);
  const uint8_t causes = std::exchange(causes_, uint8_t{0});
  set_interrupt(false);
  return causes;
}

/// The whole structure as bytes: a driver may read any part of a field.
uint64_t PciTransport::read_common(uint64_t offset, unsigned size) {
  uint32_t feature_select = 0, driver_select = 0;
  uint64_t driver_features = 0;
  uint16_t queue = 0, config_vector = 0, queue_vector = kNoVector;
  {
    std::lock_guard lock(mutex_);
    feature_select = device_feature_select_;
    driver_select = driver_feature_select_;
    driver_features = driver_features_;
    queue = queue_select_;
    config_vector = config_vector_;
    if (queue < queues_) queue_vector = queue_vectors_[queue];
  }
  const RingPlace place = device_.queue_place(queue);
  std::array<uint8_t, kCommonBytes + 8> bytes{};
  const auto put = [&bytes](uint64_t at, auto value) {
    std::memcpy(bytes.data() + at, &value, sizeof value);
  };
  put(kDeviceFeatureSelect, feature_select);
  put(kDeviceFeature, static_cast<uint32_t>(half_of(device_.offered_features(), feature_select)));
  put(kDriverFeatureSelect, driver_select);
  put(kDriverFeature, static_cast<uint32_t>(half_of(driver_features, driver_select)));
  put(kConfigVector, config_vector);
  put(kQueueCount, static_cast<uint16_t>(queues_));
  put(kDeviceStatus, device_.status());
  put(kQueueSelect, queue);
  put(kQueueSize, place.size);
  put(kQueueVector, queue_vector);
  put(kQueueEnable, static_cast<uint16_t>(device_.queue_enabled(queue)));
  put(kQueueNotifyOffset, queue);
  put(kQueueDescriptors, place.descriptors);
  put(kQueueDriver, place.driver);
  put(kQueueDevice, place.device);
  uint64_t value = 0;
  std::memcpy(&value, bytes.data() + offset, std::min<uint64_t>(size, bytes.size() - offset));
  return value;
}

void PciTransport::write_common(uint64_t offset, unsigned /*size*/, uint64_t value) {
  const auto word = static_cast<uint32_t>(value);
  if (offset == kDeviceStatus) {
    device_.set_status(static_cast<uint8_t>(value));
    if (static_cast<uint8_t>(value) == 0) reset_device();
    return;
  }
  std::unique_lock lock(mutex_);
  const auto vector = static_cast<uint16_t>(word <= queues_ ? word : kNoVector);
  switch (offset) {
    case kDeviceFeatureSelect:
      device_feature_select_ = word;
      return;
    case kDriverFeatureSelect:
      driver_feature_select_ = word;
      return;
    case kDriverFeature: {
      if (driver_feature_select_ > 1) return;
      set_half(driver_features_, driver_feature_select_ == 1, word);
      const uint64_t features = driver_features_;
      lock.unlock();
      device_.accept_features(features);
      return;
    }
    case kConfigVector:
      config_vector_ = vector;
      return;
    case kQueueSelect:
      queue_select_ = static_cast<uint16_t>(word);
      return;
    case kQueueVector:
      if (queue_select_ < queues_) queue_vectors_[queue_select_] = vector;
      return;
    default:
      break;
  }
  lock.unlock();
  write_queue(offset, word);
}

void PciTransport::write_queue(uint64_t offset, uint32_t value) {
  uint16_t queue = 0;
  {
    std::lock_guard lock(mutex_);
    queue = queue_select_;
  }
  if (offset == kQueueEnable) {
    if (value == 1) device_.enable_queue(queue);
    return;
  }
  device_.change_queue(queue, [&](RingPlace& place) {
    if (offset == kQueueSize) place.size = static_cast<uint16_t>(value);
    const bool upper = (offset & 4) != 0;
    switch (offset & ~uint64_t{4}) {
      case kQueueDescriptors:
        return set_half(place.descriptors, upper, value);
      case kQueueDriver:
        return set_half(place.driver, upper, value);
      case kQueueDevice:
        return set_half(place.device, upper, value);
      default:
        return;
    }
  });
}

void PciTransport::signal_queue(unsigned queue) {
  std::lock_guard lock(mutex_);
  interrupt(kCauseQueue, queue_vectors_[queue]);
}

void PciTransport::signal_config() {
  std::lock_guard lock(mutex_);
  interrupt(kCauseConfig, config_vector_);
}

void PciTransport::interrupt(uint8_t cause, uint16_t vector) {
  if (uses_messages()) {
    if (vector != kNoVector) send_message(vector);
    return;
  }
  causes_ |= cause;
  set_interrupt(true);
}

void PciTransport::reset_device() {
  device_.reset();
  std::lock_guard lock(mutex_);
  device_feature_select_ = driver_feature_select_ = 0;
  driver_features_ = 0;
  queue_select_ = 0;
  config_vector_ = kNoVector;
  std::ranges::fill(queue_vectors_, kNoVector);
  causes_ = 0;
  set_interrupt(false);
}

void PciTransport::save_device(StateWriter& to) const {
  {
    std::lock_guard lock(mutex_);
    to(device_feature_select_, driver_feature_select_, driver_features_, queue_select_, config_vector_,
       causes_);
    for (const uint16_t vector : queue_vectors_) to(vector);
  }
  device_.save(to);
}

void PciTransport::load_device(StateReader& from) {
  {
    std::lock_guard lock(mutex_);
    from(device_feature_select_, driver_feature_select_, driver_features_, queue_select_, config_vector_,
         causes_);
    for (uint16_t& vector : queue_vectors_) from(vector);
  }
  device_.load(from);
}

}  // namespace eidolon::device::virtio
