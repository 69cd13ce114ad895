#include "engine/translate/statistics.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace eidolon::engine::translate {

std::string report(const Statistics& s) {
  std::string text;
  const auto line = [&](const char* name, uint64_t value) {
    text += fmt::format("{:<32}{:>14}\n", name, value);
  };
  line("blocks translated", s.blocks);
  line("instructions translated", s.instructions);
  line("blocks invalidated", s.invalidated);
  line("cache flushes", s.flushes);
  line("jumps linked", s.links);
  line("monitor look-ups of blocks", s.dispatches);
  line("indirect jumps missed", s.indirect_misses);
  line("page checks missed", s.page_checks);
  line("virtual TLB fills", s.tlb_fills);
  line("string instructions by pieces", s.string_exits);
  line("accesses stepped", s.slow_accesses);
  line("instructions stepped", s.steps);
  line("  in modes not translated", s.steps_untranslatable);
  line("host faults", s.host_faults);
  line("event exits", s.events);

  std::vector<std::pair<uint64_t, ZydisMnemonic>> stepped;
  for (size_t i = 0; i < s.stepped.size(); ++i)
    if (s.stepped[i] != 0) stepped.emplace_back(s.stepped[i], static_cast<ZydisMnemonic>(i));
  std::ranges::sort(stepped, std::greater{});
  if (stepped.size() > 24) stepped.resize(24);
  for (const auto& [count, mnemonic] : stepped) {
    const char* name =
        mnemonic == ZYDIS_MNEMONIC_INVALID ? "(undecodable)" : ZydisMnemonicGetString(mnemonic);
    line(fmt::format("  stepped: {}", name).c_str(), count);
  }
  return text;
}

}  // namespace eidolon::engine::translate
