// A VGA adapter as QEMU's "std" VGA is one: the registers and the window of a VGA, the Bochs display
// interface, a linear frame buffer in BAR 0, and in BAR 2 all registers once more, as memory (QEMU:
// docs/specs/standard-vga).
//
// The frame buffer is memory that the guest draws on at its own speed; the handler of BAR 0 is only asked
// where that cannot be shown.
//
//   BAR 2   +0x000 EDID   +0x400 ports 0x3c0-0x3df   +0x500 the Bochs interface's registers, 16 bits each
//           +0x600 size of the following, byte order of the frame buffer
//
// The picture is made by a Renderer, from what capture() copies.
#pragma once

#include <mutex>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "device/display/draw.h"
#include "device/display/registers.h"
#include "device/pci/function.h"
#include "device/pci/rom.h"
#include "memory/io_window.h"

namespace eidolon::device::display {

/// What a Renderer needs to know at one moment.
struct Capture {
  Registers registers;
  Mode mode;
  Blink blink;
  std::vector<uint8_t> memory;  ///< the first kLegacyBytes, or all if the mode can reach it; not of kPacked
};

class Vga final : public pci::Function {
 public:
  static constexpr uint64_t kPort = 0x3b0;
  static constexpr uint64_t kPorts = 0x30;
  static constexpr uint64_t kVbePort = 0x1ce;
  static constexpr uint64_t kVbePorts = 3;  ///< 0x1d0 is another name of the data port
  static constexpr uint32_t kMemoryBytes = 16 << 20;

  /// `frame`: a window of `memory` of kMemoryBytes, all zero: the display memory. `rom`: the video BIOS, for
  /// the expansion ROM; empty: there is none.
  Vga(const Clock& clock, memory::GuestMemory& memory, const memory::Region& frame,
      std::vector<uint8_t> rom = {});

  [[nodiscard]] memory::IoHandler& ports() { return ports_window_; }
  [[nodiscard]] memory::IoHandler& vbe_ports() { return vbe_window_; }
  /// For kWindowBase.
  [[nodiscard]] memory::IoHandler& window() { return legacy_window_; }

  /// What a video BIOS does: 80x25 text, a font and the palette. A machine may have none.
  void enter_text_mode();

  // For a Renderer, from any thread.
  void capture(Capture& into) const;
  [[nodiscard]] Mode mode() const;
  /// All of the display memory. The guest may be writing it.
  [[nodiscard]] std::span<const uint8_t> memory() const { return {frame_.host, kMemoryBytes}; }

 protected:
  void reset_device() override;
  void save_device(StateWriter& to) const override;
  void load_device(StateReader& from) override;

 private:
  /// Ports and BAR 2: the bytes of a wider access are ports from the first on, and nobody else's come in
  /// between: drivers write an index and its data at once.
  [[nodiscard]] uint64_t read_ports(unsigned first, unsigned size);
  void write_ports(unsigned first, unsigned size, uint64_t value);
  [[nodiscard]] uint64_t port_read(uint64_t offset, unsigned size);
  void port_write(uint64_t offset, unsigned size, uint64_t value);
  [[nodiscard]] uint64_t vbe_read(uint64_t offset, unsigned size);
  void vbe_write(uint64_t offset, unsigned size, uint64_t value);
  [[nodiscard]] uint64_t window_read(uint64_t offset, unsigned size);
  void window_write(uint64_t offset, unsigned size, uint64_t value);
  [[nodiscard]] uint64_t frame_read(uint64_t offset, unsigned size);
  void frame_write(uint64_t offset, unsigned size, uint64_t value);
  [[nodiscard]] uint64_t register_read(uint64_t offset, unsigned size);
  void register_write(uint64_t offset, unsigned size, uint64_t value);
  void set_vbe(unsigned index, uint16_t value);

  [[nodiscard]] std::span<uint8_t> bytes() { return {frame_.host, kMemoryBytes}; }
  /// Bytes of the display memory were changed otherwise than through the frame buffer.
  void changed(uint32_t first, uint32_t length);

  const Clock& clock_;
  memory::GuestMemory& guest_memory_;
  const memory::Region& frame_;
  std::optional<pci::Rom> rom_;
  mutable std::mutex mutex_;  ///< of everything below
  Registers registers_ = power_on_registers();

  memory::IoWindow<Vga, &Vga::port_read, &Vga::port_write> ports_window_{*this};
  memory::IoWindow<Vga, &Vga::vbe_read, &Vga::vbe_write> vbe_window_{*this};
  memory::IoWindow<Vga, &Vga::window_read, &Vga::window_write> legacy_window_{*this};
  memory::IoWindow<Vga, &Vga::frame_read, &Vga::frame_write> frame_window_{*this};
  memory::IoWindow<Vga, &Vga::register_read, &Vga::register_write> register_window_{*this};
};

}  // namespace eidolon::device::display
