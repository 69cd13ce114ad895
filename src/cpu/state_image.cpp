#include "cpu/state_image.h"

#include <algorithm>

#include "base/try.h"

namespace eidolon::cpu::image {

namespace {

constexpr uint16_t kFcwDefined = 0x1f3f;
constexpr uint16_t kFcwFixed = 0x40;
constexpr uint16_t kExceptions = 0x3f;
constexpr uint16_t kErrorSummary = 0x80;
constexpr uint16_t kBusy = 0x8000;

[[nodiscard]] bool is_zero(const uint8_t* bytes, size_t size) {
  static constexpr std::array<uint8_t, 1024> kZeros{};  // no component is larger
  return std::memcmp(bytes, kZeros.data(), size) == 0;
}

[[nodiscard]] bool is_x87_initial(const uint8_t* legacy) {
  return load<uint16_t>(legacy, kFcw) == kInitialFcw && load<uint16_t>(legacy, kFsw) == 0 &&
         legacy[kFtw] == 0 && is_zero(legacy + kSt, kXmm - kSt);
}

}  // namespace

void materialize_x87(XsaveImage& fpu) {
  if ((fpu.in_use() & x86::kXcr0X87) != 0) return;
  std::memset(fpu.bytes.data(), 0, kMxcsr);
  std::memset(fpu.bytes.data() + kSt, 0, kXmm - kSt);
  store(fpu.bytes.data(), kFcw, kInitialFcw);
  fpu.set_in_use(fpu.in_use() | x86::kXcr0X87);
}

void materialize_xmm(XsaveImage& fpu) {
  if ((fpu.in_use() & x86::kXcr0Sse) != 0) return;
  std::memset(fpu.bytes.data() + kXmm, 0, 256);
  fpu.set_in_use(fpu.in_use() | x86::kXcr0Sse);
}

AreaLayout standard_area(const CpuidModel& model, uint64_t components) {
  AreaLayout area;
  for (unsigned i = 2; i < kComponents; ++i) {
    if ((components >> i & 1) == 0) continue;
    const XsaveComponent& component = model.xsave_component(i);
    area.offset[i] = component.offset;
    area.end = std::max(area.end, component.offset + component.size);
  }
  return area;
}

AreaLayout compacted_area(const CpuidModel& model, uint64_t components) {
  AreaLayout area;
  for (unsigned i = 2; i < kComponents; ++i) {
    if ((components >> i & 1) == 0) continue;
    const XsaveComponent& component = model.xsave_component(i);
    if (component.aligned) area.end = (area.end + 63) & ~63u;
    area.offset[i] = area.end;
    area.end += component.size;
  }
  return area;
}

uint64_t in_use(const CpuidModel& model, const uint8_t* image, const AreaLayout& area, uint64_t components) {
  uint64_t initial = 0;
  if ((components & x86::kXcr0X87) != 0 && is_x87_initial(image)) initial |= x86::kXcr0X87;
  if ((components & x86::kXcr0Sse) != 0 && is_zero(image + kXmm, 256)) initial |= x86::kXcr0Sse;
  for (unsigned i = 2; i < kComponents; ++i)
    if ((components >> i & 1) != 0 && is_zero(image + area.offset[i], model.xsave_component(i).size))
      initial |= uint64_t{1} << i;
  return components & ~initial;
}

uint64_t in_use(const CpuidModel& model, const XsaveImage& fpu) {
  return in_use(model, fpu.bytes.data(), standard_area(model, fpu.in_use()), fpu.in_use());
}

bool is_header(const uint8_t* header, uint64_t xcr0) {
  const auto xstate_bv = load<uint64_t>(header, 0);
  const auto xcomp_bv = load<uint64_t>(header, 8);
  const bool compacted = (xcomp_bv & kCompacted) != 0;
  if (!compacted && xcomp_bv != 0) return false;
  const uint64_t allowed = compacted ? xcomp_bv & ~kCompacted : xcr0;
  if ((allowed & ~xcr0) != 0 || (xstate_bv & ~allowed) != 0) return false;
  return std::all_of(header + 16, header + (compacted ? kHeaderSize : 24),
                     [](uint8_t byte) { return byte == 0; });
}

Legacy guest_legacy(const XsaveImage& fpu) {
  Legacy legacy{};
  const uint64_t in_use = fpu.in_use();
  if ((in_use & x86::kXcr0X87) != 0) {
    std::memcpy(legacy.data(), fpu.bytes.data(), kFtw + 1);
    std::memcpy(legacy.data() + kSt, fpu.bytes.data() + kSt, kXmm - kSt);
  } else {
    store(legacy.data(), kFcw, kInitialFcw);
  }
  std::memcpy(legacy.data() + kMxcsr, fpu.bytes.data() + kMxcsr, 4);
  store(legacy.data(), kMxcsrMask, kMxcsrDefined);
  if ((in_use & x86::kXcr0Sse) != 0) {
    std::memcpy(legacy.data() + kXmm, fpu.bytes.data() + kXmm, 256);
  }
  return legacy;
}

void update_error_summary(XsaveImage& fpu) {
  const auto fcw = load<uint16_t>(fpu.bytes.data(), kFcw);
  auto fsw = load<uint16_t>(fpu.bytes.data(), kFsw);
  const bool pending = (fsw & static_cast<uint16_t>(~fcw) & kExceptions) != 0;
  fsw = static_cast<uint16_t>(fsw & ~(kErrorSummary | kBusy));
  if (pending) fsw |= kErrorSummary | kBusy;
  store(fpu.bytes.data(), kFsw, fsw);
}

void set_x87(XsaveImage& fpu, const uint8_t* from) {
  uint8_t* to = fpu.bytes.data();
  const auto fcw = static_cast<uint16_t>((load<uint16_t>(from, kFcw) & kFcwDefined) | kFcwFixed);
  const auto fsw = load<uint16_t>(from, kFsw);
  const uint8_t ftw = from[kFtw];
  std::memcpy(to + kSt, from + kSt, kXmm - kSt);
  for (unsigned i = 0; i < 8; ++i) std::memset(to + kSt + 16 * i + 10, 0, 6);
  std::memset(to, 0, kMxcsr);
  store(to, kFcw, fcw);
  store(to, kFsw, fsw);
  to[kFtw] = ftw;
  update_error_summary(fpu);
  fpu.set_in_use(fpu.in_use() | x86::kXcr0X87);
}

unsigned top_of_stack(const uint8_t* legacy) { return load<uint16_t>(legacy, kFsw) >> 11 & 7u; }

void rotate_registers(uint8_t* legacy, unsigned old_top, unsigned new_top) {
  std::array<uint8_t, kXmm - kSt> before;
  std::memcpy(before.data(), legacy + kSt, before.size());
  for (unsigned i = 0; i < 8; ++i) {
    const unsigned from = (new_top + i - old_top) & 7;
    std::memcpy(legacy + kSt + 16 * i, before.data() + 16 * from, 16);
  }
}

void initialize_x87_control(XsaveImage& fpu) {
  materialize_x87(fpu);
  rotate_registers(fpu.bytes.data(), top_of_stack(fpu.bytes.data()), 0);
  std::memset(fpu.bytes.data(), 0, kMxcsr);
  store(fpu.bytes.data(), kFcw, kInitialFcw);
}

Outcome<> check_x87(const Operation& op) {
  if ((op.state.control.cr0 & (x86::kCr0Em | x86::kCr0Ts)) != 0) return raise(x86::kDeviceNotAvailable);
  return {};
}

Outcome<> check_x87_waiting(const Operation& op) {
  EIDOLON_TRY(check_x87(op));
  const bool x87_in_use = (op.state.fpu.in_use() & x86::kXcr0X87) != 0;
  const auto fsw = load<uint16_t>(op.state.fpu.bytes.data(), kFsw);
  if (x87_in_use && (fsw & kErrorSummary) != 0) return raise(x86::kX87Fault);
  return {};
}

}  // namespace eidolon::cpu::image
