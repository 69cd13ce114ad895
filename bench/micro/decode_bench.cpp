// Decoding: nanoseconds for one instruction of compiler output, with and without operands.
#include <benchmark/benchmark.h>

#include "isa/decoder.h"
#include "micro_sample.h"

namespace eidolon::micro {
namespace {

void decode(benchmark::State& state) {
  const isa::Decoder decoder;
  isa::Instruction instruction;
  int64_t decoded = 0;
  for (auto _ : state) {
    std::span<const uint8_t> rest = kFunction;
    while (!rest.empty()) {
      if (decoder.decode(isa::CodeSize::k64, rest, instruction) != isa::DecodeStatus::kOk) {
        state.SkipWithError("the sample does not decode");
        return;
      }
      benchmark::DoNotOptimize(instruction);
      rest = rest.subspan(instruction.length());
      ++decoded;
    }
  }
  state.SetItemsProcessed(decoded);
}
BENCHMARK(decode);

}  // namespace
}  // namespace eidolon::micro
