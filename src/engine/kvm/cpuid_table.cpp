#include "engine/kvm/cpuid_table.h"

#include <cerrno>
#include <cstring>
#include <vector>

#include "cpu/cpuid_listing.h"
#include "engine/kvm/tables.h"

namespace eidolon::engine::kvm {

Result<> put_cpuid(Vcpu& vcpu, const cpu::Cpu& cpu) {
  const std::vector<cpu::CpuidLeaf> leaves = cpu::list_leaves(cpu.model, cpu.index);
  Room<CpuidTable> table(leaves.size());
  for (const cpu::CpuidLeaf& row : leaves) {
    const bool needless = row.subleaf != 0 && row.result == cpu::CpuidResult{};  // KVM's answer to the rest
    if (needless) continue;
    table->entries[table->count++] = {.function = row.leaf,
                                      .index = row.subleaf,
                                      .flags = row.has_subleaves ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0u,
                                      .eax = row.result.eax,
                                      .ebx = row.result.ebx,
                                      .ecx = row.result.ecx,
                                      .edx = row.result.edx,
                                      .padding = {}};
  }
  if (vcpu.call(kSetCpuid2, table.get()) != 0)
    return fail("KVM does not take the processor's CPUID ({}); use another --cpu, or --engine translate",
                std::strerror(errno));
  return {};
}

}  // namespace eidolon::engine::kvm
