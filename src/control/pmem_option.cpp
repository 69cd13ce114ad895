#include "control/pmem_option.h"

namespace eidolon::control {

Result<machine::PmemConfig> parse_pmem(std::string_view text) {
  constexpr std::string_view kReadOnly = ",readonly";
  machine::PmemConfig pmem;
  pmem.read_only = text.ends_with(kReadOnly);
  if (pmem.read_only) text.remove_suffix(kReadOnly.size());
  if (text.empty()) return fail("--pmem takes a file, as --pmem memory.img,readonly");
  pmem.path = text;
  return pmem;
}

}  // namespace eidolon::control
