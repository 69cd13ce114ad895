// The 8042 keyboard controller (IBM PC/AT and PS/2 technical references) with a PS/2 keyboard and a PS/2
// mouse plugged in, the reset pulse, and the A20 bit of its output port.
#pragma once

#include <mutex>
#include <optional>

#include "device/chipset/a20_gate.h"
#include "device/chipset/ps2_keyboard.h"
#include "device/chipset/ps2_mouse.h"
#include "device/device.h"
#include "device/input/events.h"
#include "device/machine_control.h"
#include "memory/io_window.h"

namespace eidolon::device {

class KeyboardController final : public Device,
                                 public memory::IoHandler,
                                 public input::Keyboard,
                                 public input::Pointer {
 public:
  static constexpr uint64_t kDataPort = 0x60;    ///< one port
  static constexpr uint64_t kStatusPort = 0x64;  ///< one port
  /// One range for both would cover port 0x61: attach data_port() and status_port().
  [[nodiscard]] memory::IoHandler& data_port() { return *this; }
  [[nodiscard]] memory::IoHandler& status_port() { return status_window_; }

  /// The A20 gate's state is a bit of the output port.
  KeyboardController(IrqLine& keyboard_irq, IrqLine& mouse_irq, MachineControl& machine, A20Gate& a20);

  [[nodiscard]] uint64_t io_read(uint64_t offset, unsigned size) override;
  void io_write(uint64_t offset, unsigned size, uint64_t value) override;

  void key(const input::KeyEvent& event) override;
  [[nodiscard]] bool keyboard_ready() const override;
  void pointer(const input::PointerEvent& event) override;
  [[nodiscard]] bool pointer_ready() const override;
  [[nodiscard]] bool takes_absolute() const override { return false; }

  [[nodiscard]] std::string_view name() const override { return "i8042"; }
  void reset() override;
  void save(StateWriter& to) const override;
  void load(StateReader& from) override;

 private:
  [[nodiscard]] uint64_t status_read(uint64_t offset, unsigned size);
  void status_write(uint64_t offset, unsigned size, uint64_t value);
  void power_on();
  /// The controller's own answer; it takes the place of a byte that was not read.
  void put(uint8_t byte, uint8_t status = 0);
  /// What a write asks of others, who are called once the lock is given back.
  struct Asked {
    bool reset = false;
    std::optional<bool> a20 = std::nullopt;
  };
  [[nodiscard]] Asked command(uint8_t value);
  [[nodiscard]] Asked data(uint8_t value);
  void ask(const Asked& asked);
  void fill();
  void update_irq();

  mutable std::mutex mutex_;  ///< before everything in interrupt/irq_line.h
  IrqLine& keyboard_irq_;
  IrqLine& mouse_irq_;
  MachineControl& machine_;
  A20Gate& a20_;
  Ps2Keyboard keyboard_;
  Ps2Mouse mouse_;
  Set1Translation translation_;
  uint8_t output_ = 0;
  uint8_t status_ = 0;
  std::array<uint8_t, 32> memory_{};  ///< the first byte is the command byte
  uint8_t output_port_ = 0;           ///< less the bit of the A20 gate
  uint8_t awaiting_ = 0;              ///< the command whose data byte comes next, or 0
  memory::IoWindow<KeyboardController, &KeyboardController::status_read, &KeyboardController::status_write>
      status_window_{*this};
};

}  // namespace eidolon::device
