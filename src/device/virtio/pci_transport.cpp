#include "device/virtio/pci_transport.h"

#include <algorithm>
#include <optional>

#include "base/bits.h"
#include "device/pci/registers.h"

namespace eidolon::device::virtio {

namespace {

constexpr uint16_t kVendor = 0x1af4, kFirstDevice = 0x1040;
constexpr uint8_t kTransitionalBar = 4;

/// The device numbers of those that can be transitional, by their types (4.1.2.1); 0: it cannot.
constexpr uint16_t transitional_device(uint16_t type) {
  constexpr std::array<uint16_t, 9> kDevices = {0, 0x1000, 0x1001, 0x1003, 0x1005, 0x1002, 0, 0, 0x1004};
  return type < kDevices.size() ? kDevices[type] : uint16_t{0};
}

bool is_transitional(const Device& device, PciForm form) {
  return form == PciForm::kTransitional && transitional_device(device.shape().type) != 0;
}

/// Legacy drivers know a device by its subsystem, and only with this revision.
pci::Identity identity_of(const Device& device, PciForm form) {
  const Device::Shape& shape = device.shape();
  const bool transitional = is_transitional(device, form);
  return {.vendor = kVendor,
          .device = transitional ? transitional_device(shape.type)
                                 : static_cast<uint16_t>(kFirstDevice + shape.type),
          .class_code = shape.class_code,
          .revision = static_cast<uint8_t>(transitional ? 0 : 1),
          .subsystem_vendor = kVendor,
          .subsystem = transitional ? shape.type : uint16_t{0x1100}};
}

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

}  // namespace

PciTransport::PciTransport(virtio::Device& device, PciForm form)
    : Function(device.shape().name, identity_of(device, form)),
      device_(device),
      registers_(device),
      queues_(static_cast<unsigned>(device.shape().queue_sizes.size())),
      structures_bar_(is_transitional(device, form) ? kTransitionalBar : uint8_t{0}),
      queue_vectors_(queues_, kNoVector) {
  if (structures_bar_ != 0) add_bar(0, pci::BarKind::kIo, Legacy::kPorts, legacy_);
  add_bar(structures_bar_, pci::BarKind::kMemory32, kBarBytes, *this);
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

void PciTransport::connected() {
  device_.connect(dma(), *this);
  for (unsigned queue = 0; queue < queues_; ++queue)
    if (const int event = device_.doorbell(queue); event >= 0)
      add_doorbell(structures_bar_, kNotifyAt + queue * kNotifyStride, event);
}

void PciTransport::add_structure(uint8_t type, uint32_t offset, uint32_t length) {
  const unsigned bytes = type == kNotifyType ? kExtraBytes : kPlainBytes;
  const unsigned at = config().add_capability(pci::kCapabilityVendor, bytes);
  config().define<uint8_t>(at + kLengthAt, static_cast<uint8_t>(bytes));
  config().define<uint8_t>(at + kTypeAt, type);
  config().define<uint8_t>(at + kBarAt, structures_bar_);
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
    const bool valid = config.get<uint8_t>(window_at_ + kBarAt) == structures_bar_ &&
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
    write_common(offset, value & mask_below(32));
    write_common(offset + 4, value >> 32);
  } else if (offset < kCommonBytes) {
    write_common(offset, value);
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
  const unsigned queue = registers_.queue();
  const auto [config_vector, queue_vector] = vectors(queue);
  const RingPlace place = device_.queue_place(queue);
  std::array<uint8_t, kCommonBytes + 8> bytes{};
  const auto put = [&bytes](uint64_t at, auto value) {
    std::memcpy(bytes.data() + at, &value, sizeof value);
  };
  put(kDeviceFeatureSelect, registers_.device_feature_select());
  put(kDeviceFeature, registers_.device_features());
  put(kDriverFeatureSelect, registers_.driver_feature_select());
  put(kDriverFeature, registers_.driver_features());
  put(kConfigVector, config_vector);
  put(kQueueCount, static_cast<uint16_t>(queues_));
  put(kDeviceStatus, device_.status());
  put(kQueueSelect, static_cast<uint16_t>(queue));
  put(kQueueSize, place.size);
  put(kQueueVector, queue_vector);
  put(kQueueEnable, static_cast<uint16_t>(device_.queue_enabled(queue)));
  put(kQueueNotifyOffset, static_cast<uint16_t>(queue));
  put(kQueueDescriptors, place.descriptors);
  put(kQueueDriver, place.driver);
  put(kQueueDevice, place.device);
  uint64_t value = 0;
  std::memcpy(&value, bytes.data() + offset, std::min<uint64_t>(size, bytes.size() - offset));
  return value;
}

void PciTransport::write_common(uint64_t offset, uint64_t value) {
  const auto word = static_cast<uint32_t>(value);
  switch (offset) {
    case kDeviceFeatureSelect:
      return registers_.select_device_features(word);
    case kDriverFeatureSelect:
      return registers_.select_driver_features(word);
    case kDriverFeature:
      return registers_.set_driver_features(word);
    case kDeviceStatus:
      return set_status(static_cast<uint8_t>(value), Interface::kModern);
    case kConfigVector:
    case kQueueVector:
      return set_vector(offset == kConfigVector, word);
    case kQueueSelect:
      return registers_.select_queue(static_cast<uint16_t>(word));
    case kQueueSize:
      return registers_.set_queue_size(static_cast<uint16_t>(word));
    case kQueueEnable:
      if (word == 1) registers_.enable_queue();
      return;
    case kQueueDescriptors:
    case kQueueDescriptors + 4:
      return registers_.set_queue_address(&RingPlace::descriptors, offset != kQueueDescriptors, word);
    case kQueueDriver:
    case kQueueDriver + 4:
      return registers_.set_queue_address(&RingPlace::driver, offset != kQueueDriver, word);
    case kQueueDevice:
    case kQueueDevice + 4:
      return registers_.set_queue_address(&RingPlace::device, offset != kQueueDevice, word);
    default:
      return;
  }
}

void PciTransport::set_status(uint8_t status, Interface interface) {
  device_.set_status(status, interface);
  if (status == 0) reset_device();
}

PciTransport::Vectors PciTransport::vectors(unsigned queue) const {
  std::lock_guard lock(mutex_);
  return {.config = config_vector_, .queue = queue < queues_ ? queue_vectors_[queue] : kNoVector};
}

void PciTransport::set_vector(bool config, uint32_t value) {
  const unsigned queue = registers_.queue();
  const auto vector = static_cast<uint16_t>(value <= queues_ ? value : kNoVector);
  std::lock_guard lock(mutex_);
  if (config) {
    config_vector_ = vector;
  } else if (queue < queues_) {
    queue_vectors_[queue] = vector;
  }
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
  registers_.reset();
  std::lock_guard lock(mutex_);
  config_vector_ = kNoVector;
  std::ranges::fill(queue_vectors_, kNoVector);
  causes_ = 0;
  set_interrupt(false);
}

void PciTransport::save_device(StateWriter& to) const {
  registers_.save(to);
  {
    std::lock_guard lock(mutex_);
    to(config_vector_, causes_);
    for (const uint16_t vector : queue_vectors_) to(vector);
  }
  device_.save(to);
}

void PciTransport::load_device(StateReader& from) {
  registers_.load(from);
  {
    std::lock_guard lock(mutex_);
    from(config_vector_, causes_);
    for (uint16_t& vector : queue_vectors_) from(vector);
  }
  device_.load(from);
}

}  // namespace eidolon::device::virtio
