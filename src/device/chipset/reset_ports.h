// Ways to end a machine: the reset control register at 0xcf9 (ICH9 datasheet, 13.7.5), the fast reset of
// port 0x92 (PS/2 system control port A), and the debug-exit port of test programs.
#pragma once

#include <atomic>

#include "device/chipset/a20_gate.h"
#include "device/device.h"
#include "device/machine_control.h"

namespace eidolon::device {

/// Owns 0xcf8-0xcfb, because a 32-bit write there is PCI's configuration address and must not be taken
/// apart into a write of 0xcf9. There is no PCI bus: the address reads as all ones.
class ResetControl final : public Device, public memory::IoHandler {
 public:
  static constexpr uint64_t kPort = 0xcf8;
  static constexpr uint64_t kPorts = 4;

  explicit ResetControl(MachineControl& machine) : machine_(machine) {}
  [[nodiscard]] uint64_t io_read(uint64_t offset, unsigned size) override;
  void io_write(uint64_t offset, unsigned size, uint64_t value) override;
  [[nodiscard]] std::string_view name() const override { return "reset-control"; }
  void reset() override { value_ = 0; }
  void save(StateWriter& to) const override;
  void load(StateReader& from) override;

 private:
  MachineControl& machine_;
  std::atomic<uint8_t> value_{0};
};

class SystemControlPort final : public Device, public memory::IoHandler {
 public:
  static constexpr uint64_t kPort = 0x92;

  SystemControlPort(MachineControl& machine, A20Gate& a20) : machine_(machine), a20_(a20) {}
  [[nodiscard]] uint64_t io_read(uint64_t offset, unsigned size) override;
  void io_write(uint64_t offset, unsigned size, uint64_t value) override;
  [[nodiscard]] std::string_view name() const override { return "port92"; }
  void reset() override;
  void save(StateWriter& to) const override;
  void load(StateReader& from) override;

 private:
  static constexpr uint8_t kA20 = 0x02;
  MachineControl& machine_;
  A20Gate& a20_;
  std::atomic<uint8_t> value_{0};  ///< less kA20, which is the gate's
};

/// No state: its write ends the machine.
class DebugExit final : public memory::IoHandler {
 public:
  static constexpr uint64_t kPort = 0xf4;
  static constexpr uint64_t kPorts = 4;

  explicit DebugExit(MachineControl& machine) : machine_(machine) {}
  [[nodiscard]] uint64_t io_read(uint64_t offset, unsigned size) override;
  void io_write(uint64_t offset, unsigned size, uint64_t value) override;

 private:
  MachineControl& machine_;
};

}  // namespace eidolon::device
