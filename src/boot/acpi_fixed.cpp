// The tables of fixed form: FADT (ACPI 6.4, 5.2.9), HPET (IA-PC HPET 1.0a, 3.2.4) and MCFG (PCI
// Firmware 3.2, 4.1.2).
#include "boot/acpi.h"
#include "boot/memory_layout.h"

namespace eidolon::boot {

namespace {

/// A logical destination of eight bits, one for each processor, names no more.
constexpr unsigned kMostOfFlatModel = 8;

AcpiAddress io_register(uint16_t port, uint8_t bytes) {
  return {.space = AcpiAddress::kIo, .bit_width = static_cast<uint8_t>(bytes * 8), .address = port};
}

}  // namespace

AcpiTable make_fadt(const AcpiConfig& config, uint32_t facs, uint32_t dsdt) {
  constexpr uint32_t kWbinvd = 1u << 0, kC1 = 1u << 2, kNoSleepButton = 1u << 5, kRtcNotFixed = 1u << 6,
                     kTimer32 = 1u << 8, kResetRegister = 1u << 10,  // bit 4 clear: a fixed power button
      kClusterModel = 1u << 18;
  constexpr uint16_t kLegacyDevices = 1u << 0, kKeyboardController = 1u << 1, kNoVga = 1u << 2;

  AcpiTable t = begin_table("FACP", 3);
  t.resize(244);
  put(t, 36, facs);
  put(t, 40, dsdt);
  put<uint16_t>(t, 46, kSciIrq);
  // No SMI command port (offset 48): the machine is always in ACPI mode.
  const uint16_t event_port = config.pm_base;
  const auto control_port = static_cast<uint16_t>(event_port + kPmControlPort - kPmEventPort);
  const auto timer_port = static_cast<uint16_t>(event_port + kPmTimerPort - kPmEventPort);
  put<uint32_t>(t, 56, event_port);
  put<uint32_t>(t, 64, control_port);
  put<uint32_t>(t, 76, timer_port);
  put<uint8_t>(t, 88, 4);        // PM1_EVT_LEN
  put<uint8_t>(t, 89, 2);        // PM1_CNT_LEN
  put<uint8_t>(t, 91, 4);        // PM_TMR_LEN
  put<uint16_t>(t, 96, 0xffff);  // no C2
  put<uint16_t>(t, 98, 0xffff);  // no C3
  put<uint8_t>(t, 108, 0x32);    // century, in CMOS
  put<uint16_t>(t, 109, kLegacyDevices | kKeyboardController | (config.vga ? 0 : kNoVga));
  put<uint32_t>(t, 112,
                kWbinvd | kC1 | kNoSleepButton | kRtcNotFixed | kResetRegister |
                    (config.pm_timer_32bit ? kTimer32 : 0) |
                    (config.topology.processors() > kMostOfFlatModel ? kClusterModel : 0));
  put(t, 116, io_register(kResetPort, 1));
  put<uint8_t>(t, 128, kResetValue);
  put<uint64_t>(t, 140, dsdt);
  put(t, 148, io_register(event_port, 4));
  put(t, 172, io_register(control_port, 2));
  put(t, 208, io_register(timer_port, 4));
  if (config.has_events()) {
    const auto event_block = static_cast<uint16_t>(event_port + kGpe0Port - kPmEventPort);
    put<uint32_t>(t, 80, event_block);
    put<uint8_t>(t, 92, kGpe0Bytes);
    put(t, 220, io_register(event_block, kGpe0Bytes));
  }
  return finish_table(std::move(t));
}

AcpiTable make_hpet(const AcpiConfig& config) {
  AcpiTable t = begin_table("HPET", 1);
  append(t, config.hpet_block_id);
  append(t, AcpiAddress{.space = AcpiAddress::kMemory, .bit_width = 64, .address = kHpetBase});
  append<uint8_t>(t, 0);      // its number
  append<uint16_t>(t, 0x80);  // least period in ticks
  append<uint8_t>(t, 0);      // no page protection
  return finish_table(std::move(t));
}

AcpiTable make_mcfg(const AcpiConfig& config) {
  constexpr uint8_t kLastBus = ((kPciConfigEnd - kPciConfigBase) >> 20) - 1;
  AcpiTable t = begin_table("MCFG", 1);
  append<uint64_t>(t, 0);
  append<uint64_t>(t, config.pci.config_base);
  append<uint16_t>(t, 0);  // segment group
  append<uint8_t>(t, 0);   // first bus
  append<uint8_t>(t, kLastBus);
  append<uint32_t>(t, 0);
  return finish_table(std::move(t));
}

}  // namespace eidolon::boot
