// A VGA's registers and memory, driven by port numbers and window addresses as software does.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <span>
#include <vector>

#include "device/display/mode.h"
#include "device/display/ports.h"
#include "device/display/text_mode.h"
#include "device/display/window.h"

namespace eidolon::device::display {

class VgaTest : public testing::Test {
 protected:
  void out(unsigned port, uint8_t value) { write_port(r, port, value); }
  uint8_t in(unsigned port) { return read_port(r, port, now); }
  void sequencer_write(uint8_t index, uint8_t value) {
    out(0x3c4, index);
    out(0x3c5, value);
  }
  void graphics_write(uint8_t index, uint8_t value) {
    out(0x3ce, index);
    out(0x3cf, value);
  }
  void crtc_write(uint8_t index, uint8_t value) {
    out(0x3d4, index);
    out(0x3d5, value);
  }
  /// All of its registers, from 0 on.
  void write_crtc(std::span<const uint8_t> values) {
    for (size_t i = 0; i < values.size(); ++i) crtc_write(static_cast<uint8_t>(i), values[i]);
  }
  void attribute_write(uint8_t index, uint8_t value) {
    (void)in(0x3da);
    out(0x3c0, index);
    out(0x3c0, value);
    out(0x3c0, 0x20);
  }
  void poke(uint32_t address, uint8_t value) {
    write_window(r, memory, address - static_cast<uint32_t>(kWindowBase), value);
  }
  uint8_t peek(uint32_t address) {
    return read_window(r, memory, address - static_cast<uint32_t>(kWindowBase));
  }
  uint8_t plane(unsigned number, uint32_t index) const { return memory[index * 4 + number]; }

  /// What sets a graphics mode. `protection` is the vertical retrace end, which unlocks the CRTC's first
  /// registers.
  struct GraphicsMode {
    uint8_t miscellaneous, clocking, planes, memory, graphics, protection;
    std::array<uint8_t, 25> crtc;
    uint8_t attributes;
  };
  void set_mode(const GraphicsMode& mode) {
    r = text_mode_registers();
    out(0x3c2, mode.miscellaneous);
    sequencer_write(1, mode.clocking);
    sequencer_write(2, mode.planes);
    sequencer_write(4, mode.memory);
    graphics_write(5, mode.graphics);
    graphics_write(6, 0x05);
    crtc_write(0x11, mode.protection);
    write_crtc(mode.crtc);
    attribute_write(0x10, mode.attributes);
    attribute_write(0x13, 0x00);
  }
  /// 640x480 in 16 colours, as mode 12h.
  void set_planar() {
    set_mode({.miscellaneous = 0xe3,
              .clocking = 0x01,
              .planes = 0x0f,
              .memory = 0x06,
              .graphics = 0x00,
              .protection = 0x0c,
              .crtc = {0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0x00, 0x40, 0x00, 0x00, 0x00,
                       0x00, 0x00, 0x00, 0xea, 0x8c, 0xdf, 0x28, 0x00, 0xe7, 0x04, 0xe3, 0xff},
              .attributes = 0x01});
  }
  /// 320x200 in 256 colours, as mode 13h.
  void set_256_colours() {
    set_mode({.miscellaneous = 0x63,
              .clocking = 0x01,
              .planes = 0x0f,
              .memory = 0x0e,
              .graphics = 0x40,
              .protection = 0x0e,
              .crtc = {0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0x41, 0x00, 0x00, 0x00,
                       0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff},
              .attributes = 0x41});
  }

  Registers r = text_mode_registers();
  std::vector<uint8_t> memory = std::vector<uint8_t>(1 << 20);
  int64_t now = 0;
};

}  // namespace eidolon::device::display
