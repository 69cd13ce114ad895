// The 8042 keyboard controller (IBM PC/AT technical reference), with no keyboard and no mouse plugged in.
//
// It is there for what kernels use it for without a keyboard: the reset pulse, and the A20 bit of its
// output port. A byte for a device that is not there is answered as hardware does, with a time-out.
#pragma once

#include <mutex>

#include "device/device.h"
#include "device/machine_control.h"

namespace eidolon::device {

class KeyboardController final : public Device, public memory::IoHandler {
 public:
  static constexpr uint64_t kDataPort = 0x60;    ///< one port
  static constexpr uint64_t kStatusPort = 0x64;  ///< one port
  /// One range for both would cover port 0x61: attach data_port() and status_port().
  [[nodiscard]] memory::IoHandler& data_port() { return *this; }
  [[nodiscard]] memory::IoHandler& status_port() { return status_window_; }

  KeyboardController(IrqLine& irq, MachineControl& machine);

  [[nodiscard]] uint64_t io_read(uint64_t offset, unsigned size) override;
  void io_write(uint64_t offset, unsigned size, uint64_t value) override;

  [[nodiscard]] std::string_view name() const override { return "i8042"; }
  void reset() override;
  void save(StateWriter& to) const override;
  void load(StateReader& from) override;

 private:
  class StatusWindow final : public memory::IoHandler {
   public:
    explicit StatusWindow(KeyboardController& owner) : owner_(owner) {}
    [[nodiscard]] uint64_t io_read(uint64_t offset, unsigned size) override;
    void io_write(uint64_t offset, unsigned size, uint64_t value) override;

   private:
    KeyboardController& owner_;
  };

  void put(uint8_t byte, uint8_t status = 0);
  [[nodiscard]] bool command(uint8_t value);
  [[nodiscard]] bool data(uint8_t value);
  void update_irq();

  mutable std::mutex mutex_;  ///< before everything in interrupt/irq_line.h
  IrqLine& irq_;
  MachineControl& machine_;
  uint8_t output_ = 0;
  uint8_t status_ = 0;
  uint8_t command_byte_ = 0;
  uint8_t output_port_ = 0;
  uint8_t awaiting_ = 0;  ///< the command whose data byte comes next, or 0
  StatusWindow status_window_{*this};
};

}  // namespace eidolon::device
