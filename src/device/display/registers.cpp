#include "device/display/registers.h"

#include <algorithm>

#include "device/display/vbe.h"

namespace eidolon::device::display {

Registers power_on_registers() {
  Registers r{};
  r.enable = 1;
  r.dac_mask = 0xff;
  r.vbe[vbe::kId] = vbe::kNewestId;
  return r;
}

void sanitize(Registers& r, uint32_t memory_bytes) {
  r.sequencer_index &= 0x07;
  r.crtc_index &= 0x3f;
  r.graphics_index &= 0x0f;
  r.attribute_index &= 0x3f;
  r.dac_component = std::min<uint8_t>(r.dac_component, 2);
  settle_vbe(r, memory_bytes);
}

}  // namespace eidolon::device::display
