#include "engine/translate/statistics.h"

#include "translate/bare_machine.h"

namespace eidolon::engine {
namespace {

using namespace translate;

void expect_part(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "no '" << part << "' in\n" << text;
}

TEST(Statistics, ReportDividesTimeByShares) {
  TimesByPart times{.run_ns = 8'000'000'000, .processor_ns = 2'000'000'000, .samples = {}};
  times.samples[static_cast<size_t>(Part::kGenerated)] = 3;
  times.samples[static_cast<size_t>(Part::kAsleep)] = 1;
  Statistics statistics;
  statistics.tlb_fills = 12'000;
  const std::string text = report(statistics, {.times = times});
  EXPECT_EQ(times.ns(Part::kGenerated), 6'000'000'000u);
  EXPECT_EQ(times.ns(Part::kStepping), 0u);
  expect_part(text, "of 8.00 s (2.00 s on a processor), from 4 samples");
  expect_part(text, "6.00 s   75.0 %");
  expect_part(text, "2.00 a ms of generated code");
}

TEST(Statistics, ReportWithoutSamplesHasNoTimes) {
  const std::string text = report(Statistics{}, {});
  EXPECT_EQ(text.find("time by part"), std::string::npos);
  EXPECT_EQ(text.find("generated code\n"), std::string::npos) << "a rate without a time";
}

TEST(Statistics, ReportTellsWhatWasSteppedMost) {
  Statistics statistics;
  statistics.stepped[ZYDIS_MNEMONIC_CPUID] = 5;
  statistics.stepped[ZYDIS_MNEMONIC_IN] = 7;
  const std::string text = report(statistics, {});
  EXPECT_LT(text.find("stepped: in"), text.find("stepped: cpuid"));
  expect_part(text, fmt::format("{:<32}{:>14}\n", "  instruction stepped", 12));
}

TEST(InPart, PutsBackWhatWasBefore) {
  PartWord word{Part::kMonitor};
  {
    const InPart outer(word, Part::kGenerated);
    { const InPart inner(word, Part::kExits); }
    EXPECT_EQ(word.load(), Part::kGenerated);
  }
  EXPECT_EQ(word.load(), Part::kMonitor);
}

TEST(TranslateEngine, CountsBytesOfWhatItTranslates) {
  BareMachine machine(true);
  machine.run({0x90, 0x90, 0x90});
  const Statistics& statistics = static_cast<TranslateEngine&>(machine.engine()).statistics();
  EXPECT_GE(statistics.guest_bytes, statistics.instructions);
  EXPECT_GT(statistics.host_bytes, statistics.guest_bytes);
}

TEST(TranslateEngine, SamplesTimeInGeneratedCode) {
  BareMachine machine(true, {.observer = nullptr, .sample_time = true});
  const auto seen = [&] { return machine.engine().report().find("time by part") != std::string::npos; };
  // mov ecx, 20,000,000; 1: dec ecx; jnz 1b: some milliseconds, until one of them was looked at.
  for (int i = 0; i < 1000 && !seen(); ++i)
    machine.run({0xb9, 0x00, 0x2d, 0x31, 0x01, 0xff, 0xc9, 0x75, 0xfc});
  expect_part(machine.engine().report(), "  generated code ");
}

}  // namespace
}  // namespace eidolon::engine
