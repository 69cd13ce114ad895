#include "device/pci/lpc.h"

namespace eidolon::device::pci {

namespace {
constexpr unsigned kPmBase = 0x40, kAcpiControl = 0x44, kGpioBase = 0x48, kGpioControl = 0x4c;
constexpr unsigned kRoutesLow = 0x60, kRoutesHigh = 0x68, kSerialIrq = 0x64;
constexpr unsigned kDecode = 0x80, kDecodeRegisters = 5, kBiosControl = 0xdc, kRootComplexBase = 0xf0;
constexpr uint32_t kPmBaseBits = 0xff80;
constexpr uint8_t kAcpiEnable = 0x80;

constexpr unsigned route_register(unsigned line) {
  return line < 4 ? kRoutesLow + line : kRoutesHigh + line - 4;
}
}  // namespace

Lpc::Lpc(Root& root, memory::IoHandler* pm)
    : Function("lpc", {.vendor = 0x8086,
                       .device = 0x2918,
                       .class_code = 0x060100,
                       .revision = 2,
                       .subsystem_vendor = 0x1af4,
                       .subsystem = 0x1100}),
      root_(root),
      pm_(pm) {
  config().define<uint32_t>(kPmBase, 1, kPmBaseBits);
  config().define<uint8_t>(kAcpiControl, 0, 0x87);
  config().define<uint32_t>(kGpioBase, 1, 0xff80);
  config().define<uint8_t>(kGpioControl, 0, 0x10);
  config().define<uint8_t>(kSerialIrq, 0x10, 0xff);
  for (unsigned line = 0; line < Pirq::kLines; ++line)
    config().define<uint8_t>(route_register(line), Pirq::kNotRouted, 0x8f);
  for (unsigned i = 0; i < kDecodeRegisters; ++i) config().define<uint32_t>(kDecode + 4 * i, 0, ~0u);
  config().define<uint8_t>(kBiosControl, 0, 0x1f);
  config().define<uint32_t>(kRootComplexBase, 0, 0xffffc001);
}

void Lpc::route(unsigned line, uint8_t value) { config_write(route_register(line), 1, value); }

void Lpc::enable_pm(uint16_t base) {
  config_write(kPmBase, 4, base);
  config_write(kAcpiControl, 1, kAcpiEnable);
}

uint16_t Lpc::pm_base() const {
  return with_config([](ConfigSpace& config) {
    const bool enabled = (config.get<uint8_t>(kAcpiControl) & kAcpiEnable) != 0;
    return enabled ? static_cast<uint16_t>(config.get<uint32_t>(kPmBase) & kPmBaseBits) : uint16_t{0};
  });
}

void Lpc::place_pm() {
  if (pm_ == nullptr) return;
  const uint16_t base = pm_base();
  if (base == 0) {
    root_.ports().remove(pm_);
  } else {
    root_.ports().place(pm_, base, kPmPorts, *pm_);
  }
}

void Lpc::config_written(unsigned offset, unsigned size) {
  if (offset < kAcpiControl + 1 && offset + size > kPmBase) place_pm();
  if (offset < kRoutesHigh + 4 && offset + size > kRoutesLow) apply_routes();
}

void Lpc::apply_routes() {
  for (unsigned line = 0; line < Pirq::kLines; ++line)
    root_.pirq().route(
        line, with_config([=](ConfigSpace& config) { return config.get<uint8_t>(route_register(line)); }));
}

}  // namespace eidolon::device::pci
