#include "engine/step/extended_image.h"

#include <cpuid.h>

#include <algorithm>
#include <cstring>

namespace eidolon::engine::step {

namespace {

constexpr unsigned kHeader = 512;
constexpr unsigned kRegisters = 32;  ///< ST(0) to ST(7), 16 bytes each
enum Component : unsigned { kX87, kSse, kAvx, kOpmask = 5, kZmmHigh, kHigh16Zmm };

struct Place {
  unsigned offset = 0;
  unsigned size = 0;  ///< 0: the host does not have it
};

/// Where the host's XSAVE puts the components above SSE.
std::array<Place, 8> query_places() {
  std::array<Place, 8> places{};
  unsigned a, b, c, d, low, high;
  __cpuid_count(0xd, 0, low, b, c, high);
  for (const unsigned component : {kAvx, kOpmask, kZmmHigh, kHigh16Zmm}) {
    __cpuid_count(0xd, component, a, b, c, d);
    if (((low >> component) & 1) != 0 && a + b <= cpu::XsaveImage::kSize) places[component] = {b, a};
  }
  places[kSse] = {160, 256};
  places[kX87] = {0, 160};
  return places;
}

const std::array<Place, 8>& places() {
  static const std::array<Place, 8> kPlaces = query_places();
  return kPlaces;
}

uint64_t present_components(const cpu::State& state) {
  uint64_t bits;
  std::memcpy(&bits, state.fpu.bytes.data() + kHeader, sizeof bits);
  return bits;
}

/// Copies `size` bytes from `at` in a component, or zeros if the component is initial or absent.
void read_part(const cpu::State& state, Component component, unsigned at, void* to, unsigned size) {
  const Place place = places()[component];
  if (place.size == 0 || ((present_components(state) >> component) & 1) == 0) {
    std::memset(to, 0, size);
  } else {
    std::memcpy(to, state.fpu.bytes.data() + place.offset + at, size);
  }
}

void write_part(cpu::State& state, Component component, unsigned at, const void* from, unsigned size) {
  const Place place = places()[component];
  if (place.size == 0) return;
  uint64_t present = present_components(state);
  uint8_t* bytes = state.fpu.bytes.data();
  if (((present >> component) & 1) == 0) {
    std::memset(bytes + place.offset, 0, place.size);
    present |= uint64_t{1} << component;
    std::memcpy(bytes + kHeader, &present, sizeof present);
  }
  std::memcpy(bytes + place.offset + at, from, size);
}

/// The control words of an initial x87 (SDM volume 1, 13.6), which a memset alone does not give.
void materialize_x87(cpu::State& state) {
  uint64_t present = present_components(state);
  if (present & 1) return;
  uint8_t* bytes = state.fpu.bytes.data();
  std::memset(bytes, 0, 24);
  std::memset(bytes + 32, 0, 128);
  bytes[0] = 0x7f;
  bytes[1] = 0x03;
  present |= 1;
  std::memcpy(bytes + kHeader, &present, sizeof present);
}

}  // namespace

VectorBytes read_vector(const cpu::State& state, unsigned number) {
  VectorBytes value{};
  if (number >= 16) {
    read_part(state, kHigh16Zmm, (number - 16) * 64, value.data(), 64);
    return value;
  }
  read_part(state, kSse, number * 16, value.data(), 16);
  read_part(state, kAvx, number * 16, value.data() + 16, 16);
  read_part(state, kZmmHigh, number * 32, value.data() + 32, 32);
  return value;
}

void write_vector(cpu::State& state, unsigned number, const VectorBytes& value) {
  if (number >= 16) {
    write_part(state, kHigh16Zmm, (number - 16) * 64, value.data(), 64);
    return;
  }
  write_part(state, kSse, number * 16, value.data(), 16);
  write_part(state, kAvx, number * 16, value.data() + 16, 16);
  write_part(state, kZmmHigh, number * 32, value.data() + 32, 32);
}

uint64_t read_mask(const cpu::State& state, unsigned number) {
  uint64_t value;
  read_part(state, kOpmask, number * 8, &value, sizeof value);
  return value;
}

void write_mask(cpu::State& state, unsigned number, uint64_t value) {
  write_part(state, kOpmask, number * 8, &value, sizeof value);
}

// The image holds ST(0) first; MM0 is physical register 0, which is ST(0) once TOP is 0.
uint64_t read_mmx(cpu::State& state, unsigned number) {
  materialize_x87(state);
  uint8_t* bytes = state.fpu.bytes.data();
  const unsigned top = bytes[3] >> 3 & 7;
  std::rotate(bytes + kRegisters, bytes + kRegisters + (8 - top) % 8 * 16, bytes + kRegisters + 128);
  bytes[3] = static_cast<uint8_t>(bytes[3] & ~0x38);
  bytes[4] = 0xff;  // abridged tag word: all valid
  uint64_t value;
  std::memcpy(&value, bytes + kRegisters + number * 16, sizeof value);
  return value;
}

unsigned vector_number(ZydisRegister reg) { return static_cast<unsigned>(ZydisRegisterGetId(reg)) & 31; }

}  // namespace eidolon::engine::step
