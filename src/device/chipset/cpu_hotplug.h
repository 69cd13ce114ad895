// Processors that come and go while the machine runs: the register block that the DSDT's methods
// (boot/acpi_hotplug.cpp) and OVMF talk to. It is QEMU's (docs/specs/acpi_cpu_hotplug.rst there), because
// firmware knows that one:
//
//   +0 selector, reads as command data 2   +4 flags   +5 command   +8 command data
//
//   absent --plugged_in()--> present, insert event --guest has told its driver--> present
//   present --ask_for()--> present, remove event --guest gives it back (_EJ0)--> absent, `ejected` is called
//
// An event raises general-purpose event 2, whose method looks for it here.
#pragma once

#include <array>
#include <functional>
#include <mutex>
#include <optional>

#include "base/result.h"
#include "device/chipset/pm_block.h"
#include "device/device.h"
#include "x86/topology.h"

namespace eidolon::device {

class CpuHotplug final : public Device, public memory::IoHandler {
 public:
  static constexpr uint64_t kPort = 0xcd8;
  static constexpr uint64_t kPorts = 12;
  static constexpr unsigned kEvent = 2;  ///< of GPE0

  /// What the guest's driver last said of a processor (ACPI 6.4, 6.3.5).
  struct Answer {
    uint32_t event = 0;   ///< what it answers to: 1 device check, 3 eject request, 0x103 ejection
    uint32_t status = 0;  ///< 0: success
  };

  /// The first `present` processors of `topology` are there from the start. `ejected` is told, with no lock
  /// held and on the thread of the processor that did it, that the guest has given one back.
  CpuHotplug(const x86::Topology& topology, unsigned present, PmBlock& events,
             std::function<void(unsigned)> ejected);

  // From the host.
  [[nodiscard]] bool present(unsigned processor) const;
  /// The processor waits for its SIPI: the guest is told. The error says why it cannot be.
  [[nodiscard]] Result<> plugged_in(unsigned processor);
  /// The guest is asked to give it back, which it may do later or not at all.
  [[nodiscard]] Result<> ask_for(unsigned processor);
  [[nodiscard]] Answer answer(unsigned processor) const;

  [[nodiscard]] uint64_t io_read(uint64_t offset, unsigned size) override;
  void io_write(uint64_t offset, unsigned size, uint64_t value) override;

  [[nodiscard]] std::string_view name() const override { return "cpu-hotplug"; }
  /// Who is present stays; events that the guest has not seen are forgotten, for it looks at all anew.
  void reset() override;
  void save(StateWriter& to) const override;
  void load(StateReader& from) override;

 private:
  struct Slot {
    bool present = false, inserted = false, wanted = false;
    bool for_firmware = false;  ///< the guest leaves the ejection to firmware
    Answer answer;
  };
  [[nodiscard]] Slot* selected();
  [[nodiscard]] uint64_t read_register(uint64_t offset) const;
  /// The processor that is given back, or none.
  [[nodiscard]] std::optional<unsigned> write_flags(uint8_t value);
  void write_data(uint32_t value);
  void select_next_event();

  mutable std::mutex mutex_;  ///< before PmBlock's
  const x86::Topology topology_;
  PmBlock& events_;
  const std::function<void(unsigned)> ejected_;
  uint32_t selector_ = 0;
  uint8_t command_ = 0;
  std::array<Slot, x86::Topology::kMostProcessors> slots_;
};

}  // namespace eidolon::device
