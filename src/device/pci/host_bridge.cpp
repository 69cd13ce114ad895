#include "device/pci/host_bridge.h"

#include "base/bits.h"

namespace eidolon::device::pci {

namespace {
constexpr unsigned kWindowBase = 0x60;  // PCIEXBAR, 64 bits
constexpr uint32_t kWindowEnable = 1;
constexpr unsigned kPam = 0x90, kSmram = 0x9d, kExtendedSmram = 0x9e;
}  // namespace

HostBridge::HostBridge(Root& root)
    : Function("host-bridge", {.vendor = 0x8086,
                               .device = 0x29c0,
                               .class_code = 0x060000,
                               // By these, SeaBIOS knows that fw_cfg is there.
                               .subsystem_vendor = 0x1af4,
                               .subsystem = 0x1100}),
      root_(root),
      window_(root) {
  config().define<uint32_t>(kWindowBase, 0, 0xfc000007);
  config().define<uint32_t>(kWindowBase + 4, 0, 0xf);
  for (unsigned i = 0; i < Pam::kRegisters; ++i) config().define<uint8_t>(kPam + i, 0, i == 0 ? 0x30 : 0x33);
  config().define<uint8_t>(kSmram, 0x02, 0x70);
  config().define<uint8_t>(kExtendedSmram, 0x38, 0x87);
}

void HostBridge::enable_window(uint64_t base) {
  config_write(kWindowBase + 4, 4, static_cast<uint32_t>(base >> 32));
  config_write(kWindowBase, 4, static_cast<uint32_t>(base) | kWindowEnable);
}

void HostBridge::config_written(unsigned offset, unsigned size) {
  if (offset < kWindowBase + 8 && offset + size > kWindowBase) place_window();
  if (offset < kPam + Pam::kRegisters && offset + size > kPam) apply_pam();
}

void HostBridge::apply_pam() {
  if (pam_ == nullptr) return;
  std::array<uint8_t, Pam::kRegisters> registers{};
  with_config([&registers](ConfigSpace& config) {
    for (unsigned i = 0; i < Pam::kRegisters; ++i) registers[i] = config.get<uint8_t>(kPam + i);
  });
  pam_->apply(registers);
}

uint64_t HostBridge::window_base() const {
  const uint64_t value = with_config([](ConfigSpace& config) {
    return config.get<uint32_t>(kWindowBase) | uint64_t{config.get<uint32_t>(kWindowBase + 4)} << 32;
  });
  return (value & kWindowEnable) != 0 ? value & ~uint64_t{0x3ffffff} : 0;
}

void HostBridge::place_window() {
  const uint64_t value = with_config([](ConfigSpace& config) {
    return config.get<uint32_t>(kWindowBase) | uint64_t{config.get<uint32_t>(kWindowBase + 4)} << 32;
  });
  const auto length_code = static_cast<unsigned>(bits(value, 2, 1));
  if ((value & kWindowEnable) == 0 || length_code == 3) {
    root_.addresses().remove(&window_);
    return;
  }
  const uint64_t length = (uint64_t{256} >> length_code) * ConfigWindow::kBytesPerBus;
  root_.addresses().place(&window_, value & ~(length - 1), length, window_);
}

}  // namespace eidolon::device::pci
