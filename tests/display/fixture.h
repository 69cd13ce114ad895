// A VGA's registers and memory, driven by port numbers and window addresses as software does.
#pragma once

#include <gtest/gtest.h>

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
  void attribute_write(uint8_t index, uint8_t value) {
    (void)in(0x3da);
    out(0x3c0, index);
    out(0x3c0, value);
    out(0x3c0, 0x20);
  }
  void poke(uint32_t address, uint8_t value) {
    write_window(r, memory, address - static_cast<uint32_t>(kWindowBase), value);
  }
  uint8_t peek(uint32_t address) { return read_window(r, memory, address - static_cast<uint32_t>(kWindowBase)); }
  uint8_t plane(unsigned number, uint32_t index) const { return memory[index * 4 + number]; }

  /// 640x480 in 16 colours, as mode 12h.
  void set_planar() {
    r = text_mode_registers();
    out(0x3c2, 0xe3);
    sequencer_write(1, 0x01);
    sequencer_write(2, 0x0f);
    sequencer_write(4, 0x06);
    graphics_write(5, 0x00);
    graphics_write(6, 0x05);
    crtc_write(0x11, 0x0c);
    const uint8_t crtc[] = {0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0x00, 0x40, 0x00, 0x00, 0x00,
                            0x00, 0x00, 0x00, 0xea, 0x8c, 0xdf, 0x28, 0x00, 0xe7, 0x04, 0xe3, 0xff};
    for (unsigned i = 0; i < sizeof crtc; ++i) crtc_write(static_cast<uint8_t>(i), crtc[i]);
    attribute_write(0x10, 0x01);
    attribute_write(0x13, 0x00);
  }
  /// 320x200 in 256 colours, as mode 13h.
  void set_256_colours() {
    r = text_mode_registers();
    out(0x3c2, 0x63);
    sequencer_write(1, 0x01);
    sequencer_write(2, 0x0f);
    sequencer_write(4, 0x0e);
    graphics_write(5, 0x40);
    graphics_write(6, 0x05);
    crtc_write(0x11, 0x0e);
    const uint8_t crtc[] = {0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0x41, 0x00, 0x00, 0x00,
                            0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff};
    for (unsigned i = 0; i < sizeof crtc; ++i) crtc_write(static_cast<uint8_t>(i), crtc[i]);
    attribute_write(0x10, 0x41);
    attribute_write(0x13, 0x00);
  }

  Registers r = text_mode_registers();
  std::vector<uint8_t> memory = std::vector<uint8_t>(1 << 20);
  int64_t now = 0;
};

}  // namespace eidolon::device::display
