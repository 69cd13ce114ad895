#include "engine/translate/extended_state.h"

#include <cpuid.h>

#include <cstring>

namespace eidolon::engine::translate {

namespace {
constexpr unsigned kFipOffset = 8, kMxcsrOffset = 24, kHeaderOffset = 512;
}

bool host_has_xsaveopt() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(0xd, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax & 1) != 0;
}

void sanitize_image(cpu::XsaveImage& image, uint64_t mask) {
  uint8_t* bytes = image.bytes.data();
  uint32_t mxcsr;
  std::memcpy(&mxcsr, bytes + kMxcsrOffset, sizeof mxcsr);
  mxcsr &= 0xffff;
  std::memcpy(bytes + kMxcsrOffset, &mxcsr, sizeof mxcsr);
  uint64_t header[8] = {};  // XSTATE_BV, XCOMP_BV, reserved
  std::memcpy(header, bytes + kHeaderOffset, sizeof header[0]);
  header[0] &= mask;
  std::memcpy(bytes + kHeaderOffset, header, sizeof header);
}

void hide_host_pointers(cpu::XsaveImage& image) {
  std::memset(image.bytes.data() + kFipOffset, 0, 16);  // FIP and FDP
}

}  // namespace eidolon::engine::translate
