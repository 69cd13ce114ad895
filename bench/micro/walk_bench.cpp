// The page walk of long mode: 2 MiB pages, accessed and dirty bits set already.
#include <benchmark/benchmark.h>

#include "mmu/walk.h"
#include "translate/bare_machine.h"

namespace eidolon::micro {
namespace {

void walk_long_mode(benchmark::State& state) {
  engine::BareMachine machine(false);
  const mmu::PagingControls& controls = machine.state().control;
  uint64_t linear = 0;
  for (auto _ : state) {
    auto found = mmu::walk(machine.memory(), controls, linear, mmu::Access::kWrite, mmu::View::kSupervisor);
    if (!found) {
      state.SkipWithError("a mapped address faulted");
      return;
    }
    benchmark::DoNotOptimize(found);
    linear = (linear + (2 << 20) + 4096) % engine::BareMachine::kRam;
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(walk_long_mode);

}  // namespace
}  // namespace eidolon::micro
