#include "engine/step/step_engine.h"

#include "cpu/event.h"
#include "engine/events.h"
#include "engine/step/fetch.h"
#include "engine/step/native.h"

namespace eidolon::engine {

using cpu::Outcome;

class StepEngine::Impl {
 public:
  Impl(cpu::Cpu& cpu, const cpu::VendorRules& rules)
      : cpu_(cpu),
        cache_(rules.vendor),
        native_(cpu.state, cache_.code()),
        context_(cpu, native_, rules),
        fetcher_(cpu, cache_) {}

  [[nodiscard]] Outcome<> execute_one() {
    cpu::State& state = cpu_.state;
    const bool long_code = state.long_code();
    const isa::CodeSize size = code_size(state, long_code);
    const auto fetched = fetcher_.fetch(size);
    if (!fetched) [[unlikely]] {
      last_ = nullptr;
      return std::unexpected(fetched.error());
    }
    const step::Operation& operation = **fetched;
    last_ = &operation;
    if (operation.protected_only && state.real_or_v86()) [[unlikely]]
      return cpu::raise_ud();
    context_.long_code = long_code;
    context_.next_rip = state.rip + operation.length;
    if (!long_code) context_.next_rip &= 0xffffffff;
    return operation.handler(context_, operation);
  }

  bool step() {
    cpu::State& state = cpu_.state;
    const uint64_t begin = state.rip;
    const uint64_t flags = state.rflags;
    if (cpu_.breakpoints != nullptr && meets_breakpoint()) [[unlikely]]
      return true;
    if (cpu::breakpoints_enabled(state)) [[unlikely]] {
      if (const auto hit = cpu::instruction_breakpoint(state, cpu::linear_rip(state)))
        return deliver(*hit, begin);
    }
    const uint64_t pending = state.pending_debug;
    const bool in_shadow = state.interrupt_shadow == begin;

    const Outcome<> done = execute_one();
    if (!done) [[unlikely]] {
      state.pending_debug = pending;
      return deliver(done.error(), begin);
    }
    if (in_shadow && state.interrupt_shadow == begin) end_shadow(state);
    const bool finished =
        state.rip != begin || last_ == nullptr || last_->instruction.klass != isa::Class::kString;
    if ((flags & x86::kFlagRf) != 0 && finished && !last_->keeps_resume_flag) state.rflags &= ~x86::kFlagRf;
    if ((flags & x86::kFlagTf) != 0 || state.pending_debug != 0) [[unlikely]]
      return trap(state, flags);
    return true;
  }

 private:
  static isa::CodeSize code_size(const cpu::State& state, bool long_code) {
    if (long_code) return isa::CodeSize::k64;
    const bool big = (state.segment[x86::kCs].attributes & x86::kAttrBig) != 0;
    return big ? isa::CodeSize::k32 : isa::CodeSize::k16;
  }

  /// A debugger's: the instruction waits, and whatever engine this is a part of returns.
  bool meets_breakpoint() {
    if (!cpu_.breakpoints->has(cpu::linear_rip(cpu_.state))) return false;
    cpu_.at_breakpoint = true;
    cpu_.events.raise(cpu::kEventStop);
    return true;
  }

  static void end_shadow(cpu::State& state) {
    state.interrupt_shadow = cpu::State::kNoShadow;
    state.shadow_blocks_debug = false;
  }

  bool deliver(const cpu::Fault& fault, uint64_t begin) {
    if (cpu_.state.interrupt_shadow == begin) end_shadow(cpu_.state);
    return cpu::deliver_fault(cpu_, fault);
  }

  /// Instructions that enter a handler or the kernel clear TF on the way, and the step ends there.
  bool trap(cpu::State& state, uint64_t flags_before) {
    const bool event = last_->instruction.zydis.meta.category == ZYDIS_CATEGORY_INTERRUPT ||
                       last_->instruction.zydis.meta.category == ZYDIS_CATEGORY_SYSCALL;
    const bool stepped = (flags_before & x86::kFlagTf) != 0 && (!event || (state.rflags & x86::kFlagTf) != 0);
    if (const auto due = cpu::debug_trap(state, stepped)) return cpu::deliver_fault(cpu_, *due);
    return true;
  }

  cpu::Cpu& cpu_;
  step::OperationCache cache_;
  step::NativeRunner native_;
  step::Context context_;
  step::Fetcher fetcher_;
  const step::Operation* last_ = nullptr;
};

StepEngine::StepEngine(cpu::Cpu& cpu) : StepEngine(cpu, cpu::rules_of(cpu.model)) {}
StepEngine::StepEngine(cpu::Cpu& cpu, const cpu::VendorRules& rules)
    : impl_(std::make_unique<Impl>(cpu, rules)), cpu_(cpu) {}
StepEngine::~StepEngine() = default;

Outcome<> StepEngine::execute_one() { return impl_->execute_one(); }
bool StepEngine::step() { return impl_->step(); }

Stop StepEngine::run() {
  while (true) {
    if (needs_service(cpu_)) [[unlikely]] {
      if (const auto stop = service_events(cpu_)) return *stop;
    }
    if (!impl_->step()) [[unlikely]]
      return Stop::kShutdown;
  }
}

}  // namespace eidolon::engine
