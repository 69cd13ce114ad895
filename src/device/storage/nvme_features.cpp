#include "device/storage/nvme_features.h"

namespace eidolon::device::storage::nvme {

namespace {

enum Feature : uint8_t {
  kArbitration = 0x01,
  kPowerManagement = 0x02,
  kTemperatureThreshold = 0x04,
  kErrorRecovery = 0x05,
  kWriteCache = 0x06,
  kQueueCount = 0x07,
  kCoalescing = 0x08,
  kVectorConfig = 0x09,
  kWriteAtomicity = 0x0a,
  kEventConfig = 0x0b,
};

constexpr uint32_t kQueueAnswer = (kIoQueues - 1) | (kIoQueues - 1) << 16;
constexpr uint32_t kSave = 1u << 31;
constexpr uint32_t kUncoalesced = 1u << 16;

constexpr Features::Answer invalid() { return {Status::kInvalidField}; }

/// Of the temperature sensors only the composite one is there.
bool is_composite(uint32_t cdw11) { return (cdw11 >> 16 & 0xf) == 0 || (cdw11 >> 16 & 0xf) == 0xf; }

}  // namespace

Features::Answer Features::get(uint32_t cdw10, uint32_t cdw11) const {
  if ((cdw10 >> 8 & 7) != 0) return invalid();  // defaults and saved values: ONCS says no
  const auto value = [](uint32_t it) { return Answer{Status::kSuccess, it}; };
  switch (cdw10 & 0xff) {
    case kArbitration:
      return value(arbitration_);
    case kPowerManagement:
      return value(0);
    case kTemperatureThreshold:
      if (!is_composite(cdw11)) return invalid();
      return value((cdw11 >> 20 & 3) == 1 ? under_temperature_ : over_temperature_);
    case kErrorRecovery:
      return value(error_recovery_);
    case kWriteCache:
      return value(write_cache_ ? 1 : 0);
    case kQueueCount:
      return value(kQueueAnswer);
    case kCoalescing:
      return value(coalescing_);
    case kVectorConfig: {
      const uint32_t vector = cdw11 & 0xffff;
      if (vector >= kQueues) return invalid();
      return value(vector | (uncoalesced_[vector] ? kUncoalesced : 0));
    }
    case kWriteAtomicity:
      return value(write_atomicity_);
    case kEventConfig:
      return value(event_config_);
    default:
      return invalid();
  }
}

Features::Answer Features::set(uint32_t cdw10, uint32_t cdw11, bool any_queue) {
  if ((cdw10 & kSave) != 0) return {Status::kFeatureNotSaveable};
  switch (cdw10 & 0xff) {
    case kArbitration:
      arbitration_ = cdw11;
      break;
    case kPowerManagement:
      if ((cdw11 & 0x1f) != 0) return invalid();  // there is one power state
      break;
    case kTemperatureThreshold:
      if (!is_composite(cdw11) || (cdw11 >> 20 & 3) > 1) return invalid();
      ((cdw11 >> 20 & 3) == 1 ? under_temperature_ : over_temperature_) = static_cast<uint16_t>(cdw11);
      break;
    case kErrorRecovery:
      error_recovery_ = cdw11 & 0xffff;  // no errors for deallocated blocks
      break;
    case kWriteCache:
      write_cache_ = (cdw11 & 1) != 0;
      break;
    case kQueueCount:
      if ((cdw11 & 0xffff) == 0xffff || cdw11 >> 16 == 0xffff) return invalid();
      if (any_queue) return {Status::kSequenceError};
      return {Status::kSuccess, kQueueAnswer};
    case kCoalescing:
      coalescing_ = cdw11 & 0xffff;
      break;
    case kVectorConfig:
      if ((cdw11 & 0xffff) >= kQueues) return invalid();
      uncoalesced_[cdw11 & 0xffff] = (cdw11 & kUncoalesced) != 0;
      break;
    case kWriteAtomicity:
      write_atomicity_ = cdw11 & 1;
      break;
    case kEventConfig:
      event_config_ = cdw11;
      break;
    default:
      return invalid();
  }
  return {Status::kSuccess};
}

}  // namespace eidolon::device::storage::nvme
