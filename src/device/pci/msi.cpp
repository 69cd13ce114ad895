#include "device/pci/msi.h"

#include <bit>

#include "base/bits.h"
#include "device/pci/registers.h"
#include "interrupt/msi.h"

namespace eidolon::device::pci {

namespace {
constexpr unsigned kControl = 2, kAddress = 4, kAddressHigh = 8, kData = 12, kMask = 16, kPending = 20,
                   kLength = 24;
constexpr uint16_t kEnable = 1, kGranted = 7u << 4, k64Bit = 1u << 7, kMaskable = 1u << 8;
}  // namespace

Msi::Msi(ConfigSpace& config, unsigned vectors) : at_(config.add_capability(kCapabilityMsi, kLength)) {
  const auto log = static_cast<uint16_t>(std::countr_zero(vectors));
  config.define<uint16_t>(at_ + kControl, static_cast<uint16_t>(k64Bit | kMaskable | log << 1),
                          kEnable | kGranted);
  config.define<uint32_t>(at_ + kAddress, 0, ~3u);
  config.define<uint32_t>(at_ + kAddressHigh, 0, ~0u);
  config.define<uint16_t>(at_ + kData, 0, 0xffff);
  config.define<uint32_t>(at_ + kMask, 0, static_cast<uint32_t>(mask_below(vectors)));
}

void Msi::deliver(const ConfigSpace& config, unsigned vector) const {
  const uint64_t address =
      config.get<uint32_t>(at_ + kAddress) | uint64_t{config.get<uint32_t>(at_ + kAddressHigh)} << 32;
  const auto message = interrupt::msi_message(address, config.get<uint16_t>(at_ + kData) | vector);
  if (message && apics_ != nullptr) apics_->deliver(*message);
}

void Msi::send(ConfigSpace& config, unsigned vector) const {
  if (!enabled()) return;
  const unsigned granted = 1u << std::min<unsigned>(config.get<uint16_t>(at_ + kControl) >> 4 & 7, 5);
  vector &= granted - 1;
  if (bit(config.get<uint32_t>(at_ + kMask), vector)) {
    config.set(at_ + kPending, config.get<uint32_t>(at_ + kPending) | 1u << vector);
  } else {
    deliver(config, vector);
  }
}

void Msi::config_changed(ConfigSpace& config) {
  enabled_.store((config.get<uint16_t>(at_ + kControl) & kEnable) != 0, std::memory_order_release);
  const uint32_t pending = config.get<uint32_t>(at_ + kPending);
  const uint32_t open = enabled() ? pending & ~config.get<uint32_t>(at_ + kMask) : 0;
  if (open == 0) return;
  config.set(at_ + kPending, pending & ~open);
  for (unsigned vector = 0; vector < 32; ++vector)
    if (bit(open, vector)) deliver(config, vector);
}

}  // namespace eidolon::device::pci
