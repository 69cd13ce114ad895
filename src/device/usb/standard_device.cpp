#include "device/usb/standard_device.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace eidolon::device::usb {

namespace {

enum Request : uint8_t {
  kGetStatus = 0,
  kClearFeature = 1,
  kSetFeature = 3,
  kSetAddress = 5,
  kGetDescriptor = 6,
  kGetConfiguration = 8,
  kSetConfiguration = 9,
  kGetInterface = 10,
  kSetInterface = 11,
};

enum DescriptorType : uint8_t { kDevice = 1, kConfiguration = 2, kString = 3, kEndpoint = 5 };
enum Recipient : uint8_t { kToDevice = 0, kToInterface = 1, kToEndpoint = 2 };

constexpr uint8_t kTypeMask = 0x60, kStandard = 0x00, kRecipientMask = 0x1f;
constexpr uint16_t kEndpointHalt = 0, kRemoteWakeup = 1;
constexpr Result kDone = {Answer::kDone}, kStall = {Answer::kStall};

std::vector<uint8_t> string_descriptor(std::string_view text) {
  std::vector<uint8_t> bytes = {static_cast<uint8_t>(2 + 2 * text.size()), kString};
  for (const char c : text) {
    bytes.push_back(static_cast<uint8_t>(c));
    bytes.push_back(0);
  }
  return bytes;
}

}  // namespace

Result StandardDevice::give(std::span<const uint8_t> bytes, std::span<uint8_t> data) {
  const size_t length = std::min(bytes.size(), data.size());
  std::copy_n(bytes.begin(), length, data.begin());
  return {Answer::kDone, static_cast<uint32_t>(length)};
}

void StandardDevice::reset() {
  configuration_ = 0;
  halted_ = 0;
  remote_wakeup_ = false;
  reset_class();
}

Result StandardDevice::control(const Setup& setup, std::span<uint8_t> data) {
  if ((setup.type & kTypeMask) != kStandard) return control_class(setup, data);
  switch (setup.request) {
    case kGetDescriptor:
      // Other descriptors belong to the class of an interface.
      if ((setup.type & kRecipientMask) == kToInterface) return control_class(setup, data);
      return descriptor(setup, data);
    case kGetStatus:
      return status(setup, data);
    case kClearFeature:
    case kSetFeature:
      return feature(setup, setup.request == kSetFeature);
    case kSetAddress:
      return kDone;  // the controller finds a device by its port
    case kGetConfiguration:
      return give({&configuration_, 1}, data);
    case kSetConfiguration:
      if (setup.value > 1) return kStall;
      configuration_ = static_cast<uint8_t>(setup.value);
      halted_ = 0;
      configured_class(configured());
      return kDone;
    case kGetInterface: {
      constexpr uint8_t kOnlySetting = 0;
      return configured() ? give({&kOnlySetting, 1}, data) : kStall;
    }
    case kSetInterface:
      return configured() && setup.value == 0 ? kDone : kStall;
    default:
      return kStall;
  }
}

Result StandardDevice::descriptor(const Setup& setup, std::span<uint8_t> data) const {
  const unsigned index = setup.value & 0xff;
  switch (setup.value >> 8) {
    case kDevice:
      return give(descriptors_.device, data);
    case kConfiguration:
      return index == 0 ? give(descriptors_.configuration, data) : kStall;
    case kString: {
      constexpr std::array<uint8_t, 4> kLanguages = {4, kString, 0x09, 0x04};  // English
      if (index == 0) return give(kLanguages, data);
      if (index > descriptors_.strings.size()) return kStall;
      return give(string_descriptor(descriptors_.strings[index - 1]), data);
    }
    default:
      return kStall;
  }
}

Result StandardDevice::status(const Setup& setup, std::span<uint8_t> data) const {
  constexpr uint8_t kRemoteWakeupOn = 2;
  std::array<uint8_t, 2> bytes{};
  switch (setup.type & kRecipientMask) {
    case kToDevice:
      bytes[0] = remote_wakeup_ ? kRemoteWakeupOn : 0;
      break;
    case kToEndpoint:
      bytes[0] = (halted_ & endpoint_bit(setup.index)) != 0 ? 1 : 0;
      break;
    default:
      break;
  }
  return give(bytes, data);
}

Result StandardDevice::feature(const Setup& setup, bool set) {
  const unsigned recipient = setup.type & kRecipientMask;
  if (recipient == kToDevice && setup.value == kRemoteWakeup) {
    remote_wakeup_ = set;
    return kDone;
  }
  const uint32_t bit = recipient == kToEndpoint ? endpoint_bit(setup.index) : 0;
  if (setup.value != kEndpointHalt || bit == 0) return kStall;
  halted_ = set ? halted_ | bit : halted_ & ~bit;
  return kDone;
}

uint32_t StandardDevice::endpoint_bit(unsigned address) const {
  const std::vector<uint8_t>& bytes = descriptors_.configuration;
  for (size_t at = 0; at + 2 < bytes.size() && bytes[at] != 0; at += bytes[at])
    if (bytes[at + 1] == kEndpoint && bytes[at + 2] == (address & 0x8f))
      return uint32_t{1} << ((address & 15) + ((address & 0x80) != 0 ? 16 : 0));
  return 0;
}

Result StandardDevice::in(unsigned number, std::span<uint8_t> data) {
  const uint32_t bit = endpoint_bit(number | 0x80);
  if (!configured() || bit == 0 || (halted_ & bit) != 0) return kStall;
  return in_class(number, data);
}

Result StandardDevice::out(unsigned number, std::span<const uint8_t> data) {
  const uint32_t bit = endpoint_bit(number);
  if (!configured() || bit == 0 || (halted_ & bit) != 0) return kStall;
  return out_class(number, data);
}

void StandardDevice::save(StateWriter& to) const {
  to(configuration_, halted_, remote_wakeup_);
  save_class(to);
}

void StandardDevice::load(StateReader& from) {
  from(configuration_, halted_, remote_wakeup_);
  if (configuration_ > 1) from.fail();
  load_class(from);
  if (from.failed()) reset();
}

}  // namespace eidolon::device::usb
