#include "device/pci/express.h"

#include <utility>

#include "device/pci/registers.h"

namespace eidolon::device::pci {

namespace {
// PCI Express.
constexpr unsigned kExpressLength = 0x3c;
constexpr unsigned kExpressFlags = 2, kDeviceCapabilities = 4, kDeviceControl = 8, kDeviceStatus = 10;
constexpr uint16_t kVersion2 = 2, kIntegratedEndpoint = 9u << 4;
constexpr uint32_t kRoleBasedErrors = 1u << 15, kFunctionReset = 1u << 28;
constexpr uint16_t kInitiateReset = 1u << 15;
constexpr uint16_t kDeviceControlReset = 0x2810;  // relaxed ordering, no snoop, 512-byte reads

// Power management.
constexpr unsigned kPowerLength = 8;
constexpr unsigned kPowerFlags = 2, kPowerControl = 4;
constexpr uint16_t kVersion3 = 3, kStateMask = 3, kNoSoftReset = 1u << 3;
}  // namespace

Express::Express(ConfigSpace& config) : at_(config.add_capability(kCapabilityExpress, kExpressLength)) {
  config.define<uint16_t>(at_ + kExpressFlags, kVersion2 | kIntegratedEndpoint);
  config.define<uint32_t>(at_ + kDeviceCapabilities, kRoleBasedErrors | kFunctionReset);
  config.define<uint16_t>(at_ + kDeviceControl, kDeviceControlReset, 0xffff);
  config.define<uint16_t>(at_ + kDeviceStatus, 0, 0, 0x000f);
}

void Express::config_changed(ConfigSpace& config) {
  const uint16_t control = config.get<uint16_t>(at_ + kDeviceControl);
  if ((control & kInitiateReset) == 0) return;
  config.set<uint16_t>(at_ + kDeviceControl,
                       control & static_cast<uint16_t>(~kInitiateReset));  // reads as zero
  reset_requested_ = true;
}

bool Express::take_reset_request() { return std::exchange(reset_requested_, false); }

Power::Power(ConfigSpace& config) : at_(config.add_capability(kCapabilityPower, kPowerLength)) {
  config.define<uint16_t>(at_ + kPowerFlags, kVersion3);
  config.define<uint16_t>(at_ + kPowerControl, kNoSoftReset, kStateMask);
}

/// D1 and D2 are not offered: a write of them has no effect, and the function stays in D0.
void Power::config_changed(ConfigSpace& config) {
  const uint16_t control = config.get<uint16_t>(at_ + kPowerControl);
  const uint16_t state = control & kStateMask;
  if (state == 1 || state == 2) config.set<uint16_t>(at_ + kPowerControl, control & ~kStateMask & 0xffff);
}

bool Power::on(const ConfigSpace& config) const {
  return (config.get<uint16_t>(at_ + kPowerControl) & kStateMask) == 0;
}

}  // namespace eidolon::device::pci
