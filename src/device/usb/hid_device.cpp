#include "device/usb/hid_device.h"

#include <algorithm>

namespace eidolon::device::usb {

namespace {

constexpr uint16_t kVendor = 0x1234;  // of nobody
constexpr uint8_t kHidClass = 3, kHidDescriptor = 0x21, kReportDescriptor = 0x22;
constexpr uint8_t kPacketBytes = 8, kMilliseconds = 4;

enum Request : uint8_t {
  kGetReport = 0x01,
  kGetIdle = 0x02,
  kGetProtocol = 0x03,
  kGetDescriptor = 0x06,
  kSetReport = 0x09,
  kSetIdle = 0x0a,
  kSetProtocol = 0x0b,
};

uint8_t low(size_t value) { return static_cast<uint8_t>(value); }
uint8_t high(size_t value) { return static_cast<uint8_t>(value >> 8); }

std::vector<uint8_t> hid_descriptor(const HidDevice::Shape& shape) {
  const size_t length = shape.report_descriptor.size();
  return {9, kHidDescriptor, 0x11, 0x01, 0, 1, kReportDescriptor, low(length), high(length)};
}

StandardDevice::Descriptors descriptors(const HidDevice::Shape& shape) {
  StandardDevice::Descriptors all;
  all.device = {18,
                1,
                0x00,
                0x02,
                0,
                0,
                0,
                64,
                low(kVendor),
                high(kVendor),
                low(shape.product),
                high(shape.product),
                0x00,
                0x01,
                1,
                2,
                0,
                1};
  // Interface 0 with its HID descriptor, and endpoint 1 IN, an interrupt endpoint.
  std::vector<uint8_t> rest = {9, 4, 0, 0, 1, kHidClass, shape.subclass, shape.protocol, 0};
  const std::vector<uint8_t> hid = hid_descriptor(shape);
  rest.insert(rest.end(), hid.begin(), hid.end());
  rest.insert(rest.end(), {7, 5, 0x81, 3, kPacketBytes, 0, kMilliseconds});
  constexpr uint8_t kRemoteWakeup = 0xa0, kMilliampsHalved = 50;
  const size_t total = 9 + rest.size();
  all.configuration = {9, 2, low(total), high(total), 1, 1, 0, kRemoteWakeup, kMilliampsHalved};
  all.configuration.insert(all.configuration.end(), rest.begin(), rest.end());
  all.strings = {"Eidolon", shape.product_name};
  return all;
}

}  // namespace

HidDevice::HidDevice(std::string name, const Shape& shape)
    : StandardDevice(std::move(name), Speed::kFull, descriptors(shape)),
      report_descriptor_(shape.report_descriptor),
      hid_descriptor_(hid_descriptor(shape)),
      report_bytes_(shape.report_bytes) {}

void HidDevice::reset_class() {
  std::lock_guard lock(mutex_);
  ready_.store(false, std::memory_order_release);
  reports_.clear();
  idle_ = 0;
  protocol_ = 1;
  clear();
}

void HidDevice::configured_class(bool on) {
  std::lock_guard lock(mutex_);
  reports_.clear();
  ready_.store(on, std::memory_order_release);
}

Result HidDevice::control_class(const Setup& setup, std::span<uint8_t> data) {
  std::lock_guard lock(mutex_);
  constexpr uint8_t kClassOut = 0x21, kClassIn = 0xa1, kStandardIn = 0x81;
  if (setup.type == kStandardIn && setup.request == kGetDescriptor) {
    if (setup.value >> 8 == kHidDescriptor) return give(hid_descriptor_, data);
    if (setup.value >> 8 == kReportDescriptor) return give(report_descriptor_, data);
    return {Answer::kStall};
  }
  if (setup.type == kClassIn) {
    switch (setup.request) {
      case kGetReport:
        return give(current(), data);
      case kGetIdle:
        return give({&idle_, 1}, data);
      case kGetProtocol:
        return give({&protocol_, 1}, data);
      default:
        return {Answer::kStall};
    }
  }
  if (setup.type != kClassOut) return {Answer::kStall};
  switch (setup.request) {
    case kSetReport:
      output(data);
      return {Answer::kDone, static_cast<uint32_t>(data.size())};
    case kSetIdle:
      idle_ = high(setup.value);
      return {Answer::kDone};
    case kSetProtocol:
      protocol_ = low(setup.value) & 1;
      return {Answer::kDone};
    default:
      return {Answer::kStall};
  }
}

Result HidDevice::in_class(unsigned /*number*/, std::span<uint8_t> data) {
  std::lock_guard lock(mutex_);
  if (reports_.empty()) return {Answer::kNotYet};
  const Result result = give(reports_.front(), data);
  reports_.pop_front();
  return result;
}

Result HidDevice::out_class(unsigned /*number*/, std::span<const uint8_t> /*data*/) {
  return {Answer::kStall};
}

void HidDevice::save_class(StateWriter& to) const {
  std::lock_guard lock(mutex_);
  to(ready(), idle_, protocol_, static_cast<uint8_t>(reports_.size()));
  for (const Report& report : reports_) to(report);
  save_hid(to);
}

void HidDevice::load_class(StateReader& from) {
  std::lock_guard lock(mutex_);
  bool is_ready = false;
  uint8_t count = 0;
  from(is_ready, idle_, protocol_, count);
  if (count > kMostReports) from.fail();
  reports_.clear();
  for (unsigned i = 0; i < count && !from.failed(); ++i) {
    from(reports_.emplace_back());
    if (reports_.back().size() != report_bytes_) from.fail();
  }
  load_hid(from);
  if (from.failed()) reports_.clear();
  ready_.store(is_ready && !from.failed(), std::memory_order_release);
}

}  // namespace eidolon::device::usb
