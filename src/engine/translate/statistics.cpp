#include "engine/translate/statistics.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace eidolon::engine::translate {

namespace {

constexpr size_t kMostStepped = 24;

double ratio(uint64_t a, uint64_t b) { return b == 0 ? 0 : static_cast<double>(a) / static_cast<double>(b); }

class Report {
 public:
  Report(const Statistics& statistics, const Surroundings& surroundings)
      : s_(statistics), around_(surroundings), generated_ns_(surroundings.times.ns(Part::kGenerated)) {}

  std::string text() {
    translated();
    exits();
    translations();
    stepped();
    times();
    return std::move(text_);
  }

 private:
  void line(std::string_view name, uint64_t value, std::string_view more = {}) {
    text_ += fmt::format("{:<32}{:>14}{}{}\n", name, value, more.empty() ? "" : "   ", more);
  }

  void translated() {
    line("blocks translated", s_.blocks);
    line("blocks copied", s_.copied);
    line("instructions translated", s_.instructions,
         fmt::format("{:.1f} a block, {:.1f} host bytes each", ratio(s_.instructions, s_.blocks),
                     ratio(s_.host_bytes, s_.instructions)));
    line("guest bytes translated", s_.guest_bytes,
         fmt::format("{:.1f} host bytes each", ratio(s_.host_bytes, s_.guest_bytes)));
    line("code cache used, bytes", around_.cache_used,
         fmt::format("{:.1f} % of {} MiB", 100 * ratio(around_.cache_used, around_.cache_size),
                     around_.cache_size >> 20));
    line("cache flushes", s_.flushes);
    line("blocks invalidated", s_.invalidated);
    line("jumps linked", s_.links);
    line("monitor look-ups of blocks", s_.dispatches);
  }

  void exit(std::string_view name, uint64_t value) {
    line(name, value,
         generated_ns_ == 0
             ? std::string()
             : fmt::format("{:.2f} a ms of generated code", ratio(value * 1'000'000, generated_ns_)));
  }

  void exits() {
    text_ += "exits from generated code, by cause\n";
    exit("  virtual TLB filled", s_.tlb_fills);
    exit("  page check", s_.page_checks);
    exit("  jump not linked", s_.jump_exits);
    exit("  indirect jump missed", s_.indirect_misses);
    exit("  string by pieces", s_.string_exits);
    exit("  access stepped", s_.slow_accesses);
    exit("    across two pages", s_.crossing_accesses);
    exit("    that faults", s_.faulting_accesses);
    exit("    store to a page with code", s_.code_page_accesses);
    uint64_t sites = 0;
    for (const uint64_t count : s_.stepped) sites += count;
    exit("  sensitive instruction", s_.sensitive);
    exit("  page fault raised", s_.page_faults);
    exit("  divide error raised", s_.divide_errors);
    exit("  instruction stepped", sites - s_.sensitive);
    exit("  vector state loaded", s_.extended_loads);
    exit("  event pending", s_.events);
    exit("  host fault", s_.host_faults);
  }

  void translations() {
    const mmu::Mmu::Counters& mmu = around_.mmu;
    line("page walks", mmu.walks);
    line("  begun at a remembered table", mmu.shortcuts);
    line("flushes of one page", mmu.page_flushes);
    line("flushes of an address space", mmu.context_flushes);
    line("returns to an address space", mmu.context_returns);
    line("flushes of everything", mmu.full_flushes);
  }

  void stepped() {
    line("instructions stepped", s_.steps + s_.steps_untranslatable);
    line("  in modes not translated", s_.steps_untranslatable);
    line("gave way while spinning", s_.gave_way);
    std::vector<std::pair<uint64_t, ZydisMnemonic>> most;
    for (size_t i = 0; i < s_.stepped.size(); ++i)
      if (s_.stepped[i] != 0) most.emplace_back(s_.stepped[i], static_cast<ZydisMnemonic>(i));
    std::ranges::sort(most, std::greater{});
    if (most.size() > kMostStepped) most.resize(kMostStepped);
    for (const auto& [count, mnemonic] : most) {
      const char* name =
          mnemonic == ZYDIS_MNEMONIC_INVALID ? "(undecodable)" : ZydisMnemonicGetString(mnemonic);
      line(fmt::format("  stepped: {}", name), count);
    }
  }

  void times() {
    const TimesByPart& times = around_.times;
    if (times.all_samples() == 0) return;
    text_ += fmt::format("time by part, of {:.2f} s ({:.2f} s on a processor), from {} samples\n",
                         static_cast<double>(times.run_ns) / 1e9,
                         static_cast<double>(times.processor_ns) / 1e9, times.all_samples());
    constexpr std::pair<Part, const char*> kNames[] = {{Part::kGenerated, "  generated code"},
                                                       {Part::kTranslating, "  translating"},
                                                       {Part::kStepping, "  stepping"},
                                                       {Part::kExits, "  exits"},
                                                       {Part::kMonitor, "  all else"},
                                                       {Part::kEvents, "  events"},
                                                       {Part::kAsleep, "  asleep"}};
    for (const auto& [part, name] : kNames)
      text_ += fmt::format("{:<32}{:>12.2f} s {:>6.1f} %\n", name, static_cast<double>(times.ns(part)) / 1e9,
                           100 * ratio(times.samples[static_cast<size_t>(part)], times.all_samples()));
  }

  const Statistics& s_;
  const Surroundings& around_;
  const uint64_t generated_ns_;
  std::string text_;
};

}  // namespace

std::string report(const Statistics& statistics, const Surroundings& surroundings) {
  return Report(statistics, surroundings).text();
}

}  // namespace eidolon::engine::translate
