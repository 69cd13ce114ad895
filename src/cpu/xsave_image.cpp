// XSAVE, XSAVEOPT, XSAVEC and XRSTOR (SDM volume 1, 13.7 to 13.10; volume 2, those instructions), with the
// guest's XCR0: the host's may have more. XSAVEOPT's "modified" optimization is not used: everything counts
// as modified since the last XRSTOR, which is always allowed.
#include <algorithm>

#include "base/try.h"
#include "cpu/debug.h"
#include "cpu/handlers.h"
#include "cpu/state_image.h"

namespace eidolon::cpu::handlers {

namespace {

using namespace image;
using x86::kXcr0Avx;
using x86::kXcr0Sse;
using x86::kXcr0X87;

constexpr unsigned kXcompBv = kLegacySize + 8;

/// Bytes of a component that an instruction in this code size reaches: the first eight vector registers
/// outside 64-bit mode (SDM volume 1, 13.5).
[[nodiscard]] unsigned reachable(unsigned component, unsigned size, bool long_code) {
  if (long_code || component == 5) return size;
  if (component == 7) return 0;  // Hi16_ZMM
  return size / 2;
}

Outcome<> check_xsave(const Operation& op) {
  if ((op.state.control.cr4 & x86::kCr4OsXsave) == 0) return raise_ud();
  if ((op.state.control.cr0 & x86::kCr0Ts) != 0) return raise(x86::kDeviceNotAvailable);
  return {};
}

Outcome<uint64_t> area_address(const Operation& op, unsigned size, mmu::Access access) {
  const uint64_t linear = EIDOLON_TRY(op.address(op.operand(0), size, access));
  if ((linear & 63) != 0) return raise_gp();
  return linear;
}

/// A run of bytes to store.
struct Piece {
  unsigned offset;
  unsigned size;
  const uint8_t* from;
};

/// What a save stores. Nothing is stored until all of it is known to be writable.
class Pieces {
 public:
  void add(unsigned offset, unsigned size, const uint8_t* from) {
    if (size != 0) pieces_[count_++] = {offset, size, from};
  }
  Outcome<> write(const Operation& op, uint64_t linear) const {
    const mmu::View view = op.cpu.data_view();
    for (unsigned i = 0; i < count_; ++i)
      EIDOLON_TRY(probe_write_linear(op.cpu, linear + pieces_[i].offset, pieces_[i].size, view));
    for (unsigned i = 0; i < count_; ++i) {
      const Piece& piece = pieces_[i];
      EIDOLON_TRY(write_linear(op.cpu, linear + piece.offset, piece.from, piece.size, view));
      if (breakpoints_enabled(op.state)) note_data_access(op.state, linear + piece.offset, piece.size, true);
    }
    return {};
  }

 private:
  std::array<Piece, 16> pieces_;
  unsigned count_ = 0;
};

constexpr std::array<uint8_t, 1024> kZeros{};

/// The parts of `components`, for an area laid out as `area`.
void add_components(Pieces& pieces, const Operation& op, const AreaLayout& area, const Legacy& legacy,
                    uint64_t components, bool with_mxcsr) {
  const bool long_code = op.instruction.code_size == isa::CodeSize::k64;
  if ((components & kXcr0X87) != 0) {
    pieces.add(0, kMxcsr, legacy.data());
    pieces.add(kSt, kXmm - kSt, legacy.data() + kSt);
  }
  if (with_mxcsr) pieces.add(kMxcsr, 8, legacy.data() + kMxcsr);
  if ((components & kXcr0Sse) != 0) pieces.add(kXmm, long_code ? 256 : 128, legacy.data() + kXmm);
  const XsaveImage& fpu = op.state.fpu;
  for (unsigned i = 2; i < kComponents; ++i) {
    if ((components >> i & 1) == 0) continue;
    const XsaveComponent& component = op.cpu.model.xsave_component(i);
    const bool in_use = (fpu.in_use() >> i & 1) != 0;
    pieces.add(area.offset[i], reachable(i, component.size, long_code),
               in_use ? fpu.bytes.data() + component.offset : kZeros.data());
  }
}

/// XSAVE and XSAVEOPT; the latter leaves out what is in its initial state.
Outcome<> save_standard(Operation& op, bool optimized) {
  EIDOLON_TRY(check_xsave(op));
  const uint64_t requested = op.state.xcr0 & op.edx_eax();
  const AreaLayout area = standard_area(op.cpu.model, requested);
  const uint64_t linear = EIDOLON_TRY(area_address(op, area.end, mmu::Access::kWrite));
  const uint64_t in_use = image::in_use(op.cpu.model, op.state.fpu);
  const Legacy legacy = guest_legacy(op.state.fpu);

  const auto old_bv = EIDOLON_TRY(read_linear<uint64_t>(op.cpu, linear + kLegacySize, op.cpu.data_view()));
  uint8_t new_bv[8];
  store(new_bv, 0, (old_bv & ~requested) | (in_use & requested));
  Pieces pieces;
  add_components(pieces, op, area, legacy, optimized ? requested & in_use : requested,
                 (requested & (kXcr0Sse | kXcr0Avx)) != 0);
  pieces.add(kLegacySize, sizeof new_bv, new_bv);
  return pieces.write(op, linear);
}

Outcome<> check_header(const Operation& op, const uint8_t* header) {
  const bool compacted = (load<uint64_t>(header, 8) & kCompacted) != 0;
  if (compacted && !op.cpu.model.has(CpuidModel::Feature::kXsaveC)) return raise_gp();
  if (!is_header(header, op.state.xcr0)) return raise_gp();
  return {};
}

/// Puts a component back into its initial state, as far as the code size reaches.
void initialize_component(XsaveImage& fpu, unsigned component, uint8_t* bytes, unsigned size,
                          unsigned reached) {
  if (reached == size) {
    fpu.set_in_use(fpu.in_use() & ~(uint64_t{1} << component));
  } else if ((fpu.in_use() >> component & 1) != 0) {
    std::memset(bytes, 0, reached);
  }
}

/// Loads the SSE and wider components that `requested` names: from the area if `present` has them, else their
/// initial state.
Outcome<> load_vectors(const Operation& op, XsaveImage& fpu, uint64_t linear, const AreaLayout& area,
                       uint64_t requested, uint64_t present) {
  const bool long_code = op.instruction.code_size == isa::CodeSize::k64;
  for (unsigned i = 1; i < kComponents; ++i) {
    if ((requested >> i & 1) == 0) continue;
    const XsaveComponent sse{.offset = kXmm, .size = 256, .aligned = false};
    const XsaveComponent& component = i == 1 ? sse : op.cpu.model.xsave_component(i);
    const unsigned from = i == 1 ? kXmm : area.offset[i];
    uint8_t* bytes = fpu.bytes.data() + component.offset;
    const unsigned reached = reachable(i, component.size, long_code);
    if ((present >> i & 1) == 0) {
      initialize_component(fpu, i, bytes, component.size, reached);
      continue;
    }
    if ((fpu.in_use() >> i & 1) == 0) std::memset(bytes, 0, component.size);
    fpu.set_in_use(fpu.in_use() | uint64_t{1} << i);
    if (reached == 0) continue;
    EIDOLON_TRY(read_linear(op.cpu, linear + from, bytes, reached, op.cpu.data_view()));
    if (breakpoints_enabled(op.state)) note_data_access(op.state, linear + from, reached, false);
  }
  return {};
}

/// The standard format loads MXCSR with SSE or AVX, whatever XSTATE_BV says; the compacted one with SSE only.
Outcome<> load_mxcsr(XsaveImage& fpu, const uint8_t* legacy, uint64_t requested, uint64_t present,
                     bool compacted) {
  const uint64_t owners = compacted ? kXcr0Sse : kXcr0Sse | kXcr0Avx;
  if ((requested & owners) == 0) return {};
  const bool initial = compacted && (present & kXcr0Sse) == 0;
  const uint32_t mxcsr = initial ? kInitialMxcsr : load<uint32_t>(legacy, kMxcsr);
  if ((mxcsr & ~kMxcsrDefined) != 0) return raise_gp();
  store(fpu.bytes.data(), kMxcsr, mxcsr);
  return {};
}

}  // namespace

Outcome<> xsave(Operation& op) { return save_standard(op, false); }

Outcome<> xsaveopt(Operation& op) {
  if (!op.cpu.model.has(CpuidModel::Feature::kXsaveOpt)) return raise_ud();
  return save_standard(op, true);
}

Outcome<> xsavec(Operation& op) {
  if (!op.cpu.model.has(CpuidModel::Feature::kXsaveC)) return raise_ud();
  EIDOLON_TRY(check_xsave(op));
  const uint64_t requested = op.state.xcr0 & op.edx_eax();
  const AreaLayout area = compacted_area(op.cpu.model, requested);
  const uint64_t linear = EIDOLON_TRY(area_address(op, area.end, mmu::Access::kWrite));
  const Legacy legacy = guest_legacy(op.state.fpu);
  uint64_t in_use = image::in_use(op.cpu.model, op.state.fpu);
  if (load<uint32_t>(legacy.data(), kMxcsr) != kInitialMxcsr) in_use |= kXcr0Sse;

  uint8_t header[16];
  store(header, 0, in_use & requested);
  store(header, 8, requested | kCompacted);
  Pieces pieces;
  add_components(pieces, op, area, legacy, requested & in_use, (requested & in_use & kXcr0Sse) != 0);
  pieces.add(kLegacySize, sizeof header, header);
  return pieces.write(op, linear);
}

Outcome<> xrstor(Operation& op) {
  EIDOLON_TRY(check_xsave(op));
  const uint64_t requested = op.state.xcr0 & op.edx_eax();
  const uint64_t linear = EIDOLON_TRY(area_address(op, kExtended, mmu::Access::kRead));
  std::array<uint8_t, kExtended> fixed;
  EIDOLON_TRY(read_linear(op.cpu, linear, fixed.data(), kExtended, op.cpu.data_view()));
  EIDOLON_TRY(check_header(op, fixed.data() + kLegacySize));

  const auto xcomp_bv = load<uint64_t>(fixed.data(), kXcompBv);
  const bool compacted = (xcomp_bv & kCompacted) != 0;
  const uint64_t present = load<uint64_t>(fixed.data(), kLegacySize) & requested;
  const AreaLayout area =
      compacted ? compacted_area(op.cpu.model, xcomp_bv) : standard_area(op.cpu.model, present);
  // The segment's checks once more, now that the size is known.
  EIDOLON_TRY(op.address(op.operand(0), area.end, mmu::Access::kRead));

  XsaveImage next = op.state.fpu;
  EIDOLON_TRY(load_mxcsr(next, fixed.data(), requested, present, compacted));
  if ((present & kXcr0X87) != 0) {
    set_x87(next, fixed.data());
  } else if ((requested & kXcr0X87) != 0) {
    next.set_in_use(next.in_use() & ~kXcr0X87);
  }
  EIDOLON_TRY(load_vectors(op, next, linear, area, requested, present));
  op.state.fpu = next;
  return {};
}

}  // namespace eidolon::cpu::handlers
