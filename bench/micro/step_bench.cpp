// The step engine: one instruction of each class, again and again. What it costs is what every fallback of
// the translator costs.
#include <benchmark/benchmark.h>

#include "translate/bare_machine.h"

namespace eidolon::micro {
namespace {

using engine::BareMachine;

void step(benchmark::State& state, const std::vector<uint8_t>& code) {
  BareMachine machine(false);
  auto& engine = static_cast<engine::StepEngine&>(machine.engine());
  if (!machine.memory().write(BareMachine::kCode, code.data(), code.size())) {
    state.SkipWithError("the code does not fit");
    return;
  }
  machine.state().gpr[x86::kRdi] = BareMachine::kData;
  for (auto _ : state) {
    machine.state().rip = BareMachine::kCode;
    machine.state().gpr[x86::kRsp] = BareMachine::kStack;
    if (!engine.execute_one()) {
      state.SkipWithError("the instruction faulted");
      return;
    }
  }
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK_CAPTURE(step, innocuous_add, {0x48, 0x01, 0xc8});     // add rax, rcx
BENCHMARK_CAPTURE(step, memory_load, {0x48, 0x8b, 0x07});       // mov rax, [rdi]
BENCHMARK_CAPTURE(step, memory_add, {0x48, 0x01, 0x07});        // add [rdi], rax
BENCHMARK_CAPTURE(step, sse_memory, {0x66, 0x0f, 0xfe, 0x07});  // paddd xmm0, [rdi]
BENCHMARK_CAPTURE(step, branch, {0x75, 0x00});                  // jnz +0
BENCHMARK_CAPTURE(step, stack_push, {0x50});                    // push rax
BENCHMARK_CAPTURE(step, stack_pushf, {0x9c});                   // pushfq
BENCHMARK_CAPTURE(step, control_cli, {0xfa});                   // cli
BENCHMARK_CAPTURE(step, control_mov_cr, {0x0f, 0x20, 0xd8});    // mov rax, cr3
BENCHMARK_CAPTURE(step, behaviour_sgdt, {0x0f, 0x01, 0x07});    // sgdt [rdi]

}  // namespace
}  // namespace eidolon::micro
