// XSAVEC and XRSTOR of 64-bit code, with which kernels switch between programs, by the host's own
// instructions: the guest's x87 and vector state may stay in the host's registers. Between these and guest
// memory is a copy of ours, so that the guest neither sees what the host's x87 pointers hold, nor changes
// what has been checked. What is not plain is left to cpu/xsave_image.cpp. SDM volume 1, 13.7 to 13.10.
#include <algorithm>
#include <cstring>

#include "cpu/operation.h"
#include "cpu/state_image.h"
#include "engine/translate/extended_state.h"
#include "engine/translate/impl.h"

namespace eidolon::engine {

using namespace translate;
using namespace cpu::image;

namespace {

/// Guest memory that the virtual TLB knows, in one page or two.
class Area {
 public:
  Area(const mmu::VirtualTlb& tlb, mmu::View view, uint64_t linear, unsigned size, bool write)
      : first_size_(std::min<unsigned>(size, x86::kPageSize - (linear & x86::kPageMask))),
        first_(tlb.lookup(linear, first_size_, write, view)),
        second_(size == first_size_ ? first_
                                    : tlb.lookup(linear + first_size_, size - first_size_, write, view)) {}
  [[nodiscard]] bool there() const { return first_ != nullptr && second_ != nullptr; }
  void read(unsigned offset, unsigned size, uint8_t* to) const {
    each(offset, size,
         [to](uint8_t* memory, unsigned at, unsigned bytes) { std::memcpy(to + at, memory, bytes); });
  }
  void write(unsigned offset, unsigned size, const uint8_t* from) const {
    each(offset, size,
         [from](uint8_t* memory, unsigned at, unsigned bytes) { std::memcpy(memory, from + at, bytes); });
  }

 private:
  void each(unsigned offset, unsigned size, auto copy) const {
    const unsigned in_first = offset >= first_size_ ? 0 : std::min(size, first_size_ - offset);
    if (in_first != 0) copy(first_ + offset, 0, in_first);
    if (in_first != size) copy(second_ + (offset + in_first - first_size_), in_first, size - in_first);
  }
  unsigned first_size_;
  uint8_t *first_, *second_;
};

bool is_allowed(const cpu::Operation& op) {
  const cpu::State& state = op.state;
  return op.instruction.code_size == isa::CodeSize::k64 && (state.control.cr4 & x86::kCr4OsXsave) != 0 &&
         (state.control.cr0 & x86::kCr0Ts) == 0 && op.cpu.model.has(cpu::CpuidModel::Feature::kXsaveC) &&
         (op.instruction.zydis.attributes & ZYDIS_ATTRIB_HAS_LOCK) == 0;
}

/// Whether it is in the compacted format, and XRSTOR does not raise #GP.
bool is_acceptable(const uint8_t* image, uint64_t requested, uint64_t xcr0) {
  const uint8_t* header = image + kLegacySize;
  if ((load<uint64_t>(header, 8) & kCompacted) == 0 || !is_header(header, xcr0)) return false;
  const bool has_mxcsr = (requested & load<uint64_t>(header, 0) & x86::kXcr0Sse) != 0;
  return !has_mxcsr || (load<uint32_t>(image, kMxcsr) & ~kMxcsrDefined) == 0;
}

}  // namespace

/// False if it has to be done the long way; nothing has changed then.
bool TranslateEngine::Impl::execute_extended(const isa::Instruction& instruction) {
  const cpu::Operation op(cpu_, instruction);
  const uint64_t requested = op.state.xcr0 & op.edx_eax();
  if (!is_allowed(op) || (requested & ~extended_mask_) != 0) return false;
  const bool restores =
      instruction.mnemonic() == ZYDIS_MNEMONIC_XRSTOR || instruction.mnemonic() == ZYDIS_MNEMONIC_XRSTOR64;
  if (restores ? !restore_compacted(op, requested) : !save_compacted(op, requested)) return false;
  cpu_.state.rip = op.next_rip();
  return true;
}

bool TranslateEngine::Impl::save_compacted(const cpu::Operation& op, uint64_t requested) {
  const AreaLayout layout = compacted_area(cpu_.model, requested);
  const auto linear = op.address(op.operand(0), layout.end, mmu::Access::kWrite);
  if (!linear || (*linear & 63) != 0) return false;
  const Area area(cpu_.mmu.tlb(), cpu_.data_view(), *linear, layout.end, true);
  if (!area.there()) return false;
  if (frame_.extended_away != 0) load_extended_state();

  store_compacted(moved_extended_, requested);
  uint8_t* image = moved_extended_.bytes.data();
  std::memset(image + kPointers, 0, kMxcsr - kPointers);
  store(image, kMxcsrMask, kMxcsrDefined);
  // As the processor does, it leaves alone what is in its initial state.
  const auto stored = load<uint64_t>(image, kLegacySize);
  uint64_t present = in_use(cpu_.model, image, layout, stored);
  if (load<uint32_t>(image, kMxcsr) != kInitialMxcsr) present |= stored & x86::kXcr0Sse;
  store(image, kLegacySize, present);
  const auto write = [&](unsigned offset, unsigned size) { area.write(offset, size, image + offset); };
  if ((present & x86::kXcr0X87) != 0) {
    write(0, kMxcsr);
    write(kSt, kXmm - kSt);
  }
  if ((present & x86::kXcr0Sse) != 0) {
    write(kMxcsr, 8);
    write(kXmm, 256);
  }
  for (unsigned i = 2; i < kComponents; ++i)
    if ((present >> i & 1) != 0) write(layout.offset[i], cpu_.model.xsave_component(i).size);
  write(kLegacySize, 16);
  return true;
}

bool TranslateEngine::Impl::restore_compacted(const cpu::Operation& op, uint64_t requested) {
  const mmu::View view = cpu_.data_view();
  const auto linear = op.address(op.operand(0), kExtended, mmu::Access::kRead);
  if (!linear || (*linear & 63) != 0) return false;
  const Area fixed(cpu_.mmu.tlb(), view, *linear, kExtended, false);
  if (!fixed.there()) return false;
  uint8_t* image = moved_extended_.bytes.data();
  fixed.read(0, kExtended, image);
  if (!is_acceptable(image, requested, op.state.xcr0)) return false;

  const AreaLayout layout = compacted_area(cpu_.model, load<uint64_t>(image, kLegacySize + 8));
  if (!op.address(op.operand(0), layout.end, mmu::Access::kRead)) return false;
  const Area area(cpu_.mmu.tlb(), view, *linear, layout.end, false);
  if (!area.there()) return false;
  area.read(kExtended, layout.end - kExtended, image + kExtended);
  if (frame_.extended_away != 0 && (extended_mask_ & ~requested) != 0) load_extended_state();
  load_extended(moved_extended_, requested);
  frame_.extended_away = 0;
  return true;
}

}  // namespace eidolon::engine
