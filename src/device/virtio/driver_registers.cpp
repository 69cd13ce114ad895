#include "device/virtio/driver_registers.h"

#include <algorithm>

#include "base/bits.h"

namespace eidolon::device::virtio {

namespace {
void set_half(uint64_t& whole, bool upper, uint32_t value) {
  whole = upper ? (whole & mask_below(32)) | uint64_t{value} << 32 : (whole & ~mask_below(32)) | value;
}
}  // namespace

DriverRegisters::Fields DriverRegisters::fields() const {
  std::lock_guard lock(mutex_);
  return fields_;
}

uint32_t DriverRegisters::device_feature_select() const { return fields().device_feature_select; }

void DriverRegisters::select_device_features(uint32_t half) {
  std::lock_guard lock(mutex_);
  fields_.device_feature_select = half;
}

uint32_t DriverRegisters::device_features() const {
  return half_of(device_.offered_features(), device_feature_select());
}

uint32_t DriverRegisters::driver_feature_select() const { return fields().driver_feature_select; }

void DriverRegisters::select_driver_features(uint32_t half) {
  std::lock_guard lock(mutex_);
  fields_.driver_feature_select = half;
}

uint32_t DriverRegisters::driver_features() const {
  const Fields now = fields();
  return half_of(now.driver_features, now.driver_feature_select);
}

void DriverRegisters::set_driver_features(uint32_t value) {
  uint64_t features = 0;
  {
    std::lock_guard lock(mutex_);
    if (fields_.driver_feature_select > 1) return;
    set_half(fields_.driver_features, fields_.driver_feature_select == 1, value);
    features = fields_.driver_features;
  }
  device_.accept_features(features);
}

unsigned DriverRegisters::queue() const { return fields().queue; }

/// A number that no 16 bits hold is that of no queue either.
void DriverRegisters::select_queue(uint32_t queue) {
  std::lock_guard lock(mutex_);
  fields_.queue = static_cast<uint16_t>(std::min(queue, uint32_t{0xffff}));
}

void DriverRegisters::set_queue_size(uint32_t size) {
  device_.change_queue(
      queue(), [size](RingPlace& place) { place.size = static_cast<uint16_t>(std::min(size, 0xffffu)); });
}

void DriverRegisters::set_queue_address(GuestPhysical RingPlace::*which, bool upper, uint32_t value) {
  device_.change_queue(queue(), [=](RingPlace& place) { set_half(place.*which, upper, value); });
}

void DriverRegisters::reset() {
  std::lock_guard lock(mutex_);
  fields_ = {};
}

void DriverRegisters::save(StateWriter& to) const {
  const Fields now = fields();
  to(now.device_feature_select, now.driver_feature_select, now.driver_features, now.queue);
}

void DriverRegisters::load(StateReader& from) {
  std::lock_guard lock(mutex_);
  from(fields_.device_feature_select, fields_.driver_feature_select, fields_.driver_features, fields_.queue);
}

}  // namespace eidolon::device::virtio
