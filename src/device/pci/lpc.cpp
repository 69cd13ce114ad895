#include "device/pci/lpc.h"

namespace eidolon::device::pci {

namespace {
constexpr unsigned kPmBase = 0x40, kAcpiControl = 0x44, kGpioBase = 0x48, kGpioControl = 0x4c;
constexpr unsigned kRoutesLow = 0x60, kRoutesHigh = 0x68, kSerialIrq = 0x64;
constexpr unsigned kDecode = 0x80, kDecodeRegisters = 5, kBiosControl = 0xdc, kRootComplexBase = 0xf0;
constexpr uint32_t kPmPorts = 0x600;
constexpr uint8_t kAcpiEnable = 0x80;

constexpr unsigned route_register(unsigned line) {
  return line < 4 ? kRoutesLow + line : kRoutesHigh + line - 4;
}
}  // namespace

Lpc::Lpc(Pirq& pirq)
    : Function("lpc", {.vendor = 0x8086, .device = 0x2918, .class_code = 0x060100, .revision = 2}),
      pirq_(pirq) {
  config().define<uint32_t>(kPmBase, kPmPorts | 1);
  config().define<uint8_t>(kAcpiControl, kAcpiEnable, 0x87);
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

void Lpc::config_written(unsigned offset, unsigned size) {
  if (offset < kRoutesHigh + 4 && offset + size > kRoutesLow) apply_routes();
}

void Lpc::apply_routes() {
  for (unsigned line = 0; line < Pirq::kLines; ++line)
    pirq_.route(line,
                with_config([=](ConfigSpace& config) { return config.get<uint8_t>(route_register(line)); }));
}

}  // namespace eidolon::device::pci
