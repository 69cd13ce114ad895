// The speed of translation: a function that was just written is run once, with everything that this takes
// (its old blocks dropped, decoding, analysis, code, links), in guest instructions a second.
#include <benchmark/benchmark.h>

#include "micro_sample.h"
#include "translate/bare_machine.h"

namespace eidolon::micro {
namespace {

void translate_fresh_code(benchmark::State& state) {
  engine::BareMachine machine(true);
  auto& engine = static_cast<engine::TranslateEngine&>(machine.engine());
  const uint64_t before = engine.statistics().instructions;
  for (auto _ : state) {
    machine.state().gpr[x86::kRdi] = engine::BareMachine::kData;
    machine.state().gpr[x86::kRsi] = 1;
    if (machine.run(kFunction) != engine::Stop::kRequested) {
      state.SkipWithError("the function did not come to its end");
      return;
    }
  }
  const uint64_t translated = engine.statistics().instructions - before;
  if (translated < static_cast<uint64_t>(state.iterations()))
    state.SkipWithError("the old translation was kept");
  state.SetItemsProcessed(static_cast<int64_t>(translated));
}
BENCHMARK(translate_fresh_code);

}  // namespace
}  // namespace eidolon::micro
