#include "cpu/saved_state.h"

#include <algorithm>

#include "base/try.h"
#include "cpu/possible_state.h"
#include "cpu/state_image.h"

namespace eidolon::cpu {

namespace {

using namespace image;

constexpr uint32_t kVersion = 1;
constexpr unsigned kComponents = 8;  ///< of the XSAVE area, the legacy two among them
constexpr unsigned kStBytes = 10;
/// What others have asked of the processor and it has not done yet. The rest of the events follow from the
/// state of those who raise them.
constexpr uint32_t kSavedEvents = kEventNmi | kEventInit | kEventSipi | kEventKick;

std::string section_of(const Cpu& cpu) { return fmt::format("cpu{}", cpu.index); }

template <typename Self, typename Stream>
void segment_fields(Self& segment, Stream& s) {
  s(segment.selector, segment.attributes, segment.limit, segment.base);
}

template <typename Self, typename Stream>
void fields(Self& state, Stream& s) {
  s(state.gpr, state.rip, state.rflags);
  for (auto& segment : state.segment) segment_fields(segment, s);
  segment_fields(state.ldtr, s);
  segment_fields(state.tr, s);
  s(state.gdtr.base, state.gdtr.limit, state.idtr.base, state.idtr.limit);
  s(state.control.cr0, state.cr2, state.control.cr3, state.control.cr4, state.control.efer);
  for (auto& entry : state.control.pdpte) s(entry);
  s(state.dr, state.dr6, state.dr7, state.xcr0);
  s(state.activity, state.interrupt_shadow, state.shadow_blocks_debug, state.nmi_blocked,
    state.pending_debug);
  s(state.star, state.lstar, state.cstar, state.fmask, state.kernel_gs_base);
  s(state.sysenter_cs, state.sysenter_esp, state.sysenter_eip);
  s(state.pat, state.tsc_adjust, state.tsc_aux, state.misc_enable);
  s(state.mtrr_def_type, state.mtrr_variable, state.mtrr_fixed);
  s(state.mcg_status, state.xss, state.debug_ctl);
}

void save_x87(StateWriter& to, const Legacy& legacy) {
  to(load<uint16_t>(legacy.data(), kFcw), load<uint16_t>(legacy.data(), kFsw), legacy[kFtw]);
  for (unsigned i = 0; i < 8; ++i) {
    std::array<uint8_t, kStBytes> st;
    std::copy_n(legacy.data() + kSt + 16 * i, kStBytes, st.data());
    to(st);
  }
}

void load_x87(StateReader& from, XsaveImage& fpu) {
  Legacy legacy{};
  uint16_t fcw = 0, fsw = 0;
  from(fcw, fsw, legacy[kFtw]);
  store(legacy.data(), kFcw, fcw);
  store(legacy.data(), kFsw, fsw);
  for (unsigned i = 0; i < 8; ++i) {
    std::array<uint8_t, kStBytes> st{};
    from(st);
    std::ranges::copy(st, legacy.data() + kSt + 16 * i);
  }
  set_x87(fpu, legacy.data());
}

constexpr XsaveComponent kSseComponent{.offset = kXmm, .size = 256, .aligned = false};

const XsaveComponent& component_of(const CpuidModel& model, unsigned number) {
  return number == 1 ? kSseComponent : model.xsave_component(number);
}

/// Which components are in use, MXCSR, and then each component that is.
void save_extended(StateWriter& to, const XsaveImage& fpu, const CpuidModel& model) {
  const auto in_use = static_cast<uint8_t>(fpu.in_use());
  to(in_use, load<uint32_t>(fpu.bytes.data(), kMxcsr));
  if ((in_use & x86::kXcr0X87) != 0) save_x87(to, guest_legacy(fpu));
  for (unsigned i = 1; i < kComponents; ++i) {
    if ((in_use >> i & 1) == 0) continue;
    const XsaveComponent& component = component_of(model, i);
    const uint8_t* bytes = fpu.bytes.data() + component.offset;
    to(std::vector<uint8_t>(bytes, bytes + component.size));
  }
}

void load_extended(StateReader& from, XsaveImage& fpu, const CpuidModel& model) {
  uint8_t in_use = 0;
  uint32_t mxcsr = 0;
  from(in_use, mxcsr);
  if ((in_use & ~(model.supported_xcr0() | x86::kXcr0X87 | x86::kXcr0Sse)) != 0 ||
      (mxcsr & ~kMxcsrDefined) != 0)
    return from.fail();
  store(fpu.bytes.data(), kMxcsr, mxcsr);
  if ((in_use & x86::kXcr0X87) != 0) load_x87(from, fpu);
  for (unsigned i = 1; i < kComponents; ++i) {
    if ((in_use >> i & 1) == 0) continue;
    const XsaveComponent& component = component_of(model, i);
    std::vector<uint8_t> bytes;
    from(bytes);
    if (bytes.size() != component.size) return from.fail();
    std::ranges::copy(bytes, fpu.bytes.data() + component.offset);
  }
  fpu.set_in_use(in_use);
}

}  // namespace

void save_processor(StateWriter& to, const Cpu& cpu, uint64_t host_tsc) {
  to.begin(section_of(cpu), kVersion);
  fields(cpu.state, to);
  save_extended(to, cpu.state.fpu, cpu.model);
  const uint64_t tsc = host_tsc + cpu.state.tsc_offset;
  const uint32_t events = cpu.events.pending() & kSavedEvents;
  to(tsc, events, cpu.events.sipi_vector.load(), cpu.kicked);
  to.end();
}

Result<> load_processor(StateReader& from, Cpu& cpu, uint64_t host_tsc) {
  State state;
  uint64_t tsc = 0;
  uint32_t events = 0;
  uint8_t sipi_vector = 0;
  from.begin(section_of(cpu));
  fields(state, from);
  load_extended(from, state.fpu, cpu.model);
  bool kicked = false;
  from(tsc, events, sipi_vector, kicked);
  from.end();
  if (from.failed())
    return fail("the snapshot does not hold the state of processor {}; it is damaged, or another program's",
                cpu.index);
  if (const char* part = impossible_part(state, cpu.model))
    return fail("the snapshot's {} of processor {} is one that no such processor has; it is damaged", part,
                cpu.index);
  state.tsc_offset = tsc - host_tsc;
  cpu.state = state;
  cpu.kicked = kicked;
  cpu.events.take(kSavedEvents);
  cpu.events.sipi_vector = sipi_vector;
  if ((events & kSavedEvents) != 0) cpu.events.raise(events & kSavedEvents);
  cpu.mmu.invalidate_all();
  return {};
}

}  // namespace eidolon::cpu
