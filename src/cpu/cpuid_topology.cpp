// The leaves that tell of sockets, cores and threads (SDM volume 2, CPUID: 1, 4, 0xb, 0x1f, and volume
// 3, 9.9; AMD APM volume 3, appendix E: 1, 0x80000001, 0x80000008, 0x8000001d, 0x8000001e). Caches of the
// first two levels belong to a core, those above to a socket.
#include "cpu/cpuid_model.h"
#include "x86/cpuid.h"

namespace eidolon::cpu {

namespace {

namespace id = x86::cpuid;

[[nodiscard]] uint32_t with_bit(uint32_t word, uint32_t bit, bool set) {
  return set ? word | bit : word & ~bit;
}

[[nodiscard]] bool belongs_to_core(const CpuidResult& cache) { return (cache.eax >> 5 & 7) <= 2; }

/// Leaf 4 counts addressable IDs, which come in powers of two.
void share_intel(CpuidResult& cache, const x86::Topology& topology) {
  const unsigned shift = belongs_to_core(cache) ? topology.core_shift() : topology.socket_shift();
  const uint32_t sharing = (1u << shift) - 1;
  const uint32_t cores = (1u << (topology.socket_shift() - topology.core_shift())) - 1;
  cache.eax = (cache.eax & id::kCacheKindMask) | sharing << 14 | cores << 26;
}

/// Leaf 0x8000001d counts processors.
void share_amd(CpuidResult& cache, const x86::Topology& topology) {
  const unsigned sharing = belongs_to_core(cache) ? topology.threads : topology.processors_per_socket();
  cache.eax = (cache.eax & id::kCacheKindMask) | (sharing - 1) << 14;
}

/// Leaf 0x80000008: cores, by which AMD means processors, and bits of their number in the APIC ID.
[[nodiscard]] uint32_t amd_size(const x86::Topology& topology) {
  return (topology.processors_per_socket() - 1) | topology.socket_shift() << 12;
}

}  // namespace

void CpuidModel::set_topology(const x86::Topology& topology) {
  topology_ = topology;
  const unsigned together = topology.processors_per_socket();
  for (CpuidLeaf& row : leaves_) {
    CpuidResult& result = row.result;
    switch (row.leaf) {
      case id::kVersion:
        result.ebx = (result.ebx & 0xffff) | together << 16;
        result.edx = with_bit(result.edx, id::kHtt, together > 1);
        break;
      case id::kCaches:
        if ((result.eax & id::kCacheTypeMask) != 0) share_intel(result, topology);
        break;
      case id::kExtendedVersion:
        if (amd_) result.ecx = with_bit(result.ecx, id::kCmpLegacy, together > 1);
        break;
      case id::kAddressSizes:
        if (amd_) result.ecx = amd_size(topology);
        break;
      case id::kAmdCaches:
        if ((result.eax & id::kCacheTypeMask) != 0) share_amd(result, topology);
        break;
      default:
        break;
    }
  }
}

CpuidResult CpuidModel::topology_level(uint32_t subleaf, unsigned processor) const {
  enum : uint32_t { kThreads = 1, kCores = 2 };  // types of levels; 0: there are no more
  const uint32_t level = subleaf & 0xff;
  const uint32_t apic_id = topology_.apic_id(processor);
  if (level == 0)
    return {.eax = topology_.core_shift(), .ebx = topology_.threads, .ecx = kThreads << 8, .edx = apic_id};
  if (level == 1)
    return {.eax = topology_.socket_shift(),
            .ebx = topology_.processors_per_socket(),
            .ecx = kCores << 8 | level,
            .edx = apic_id};
  return {.ecx = level, .edx = apic_id};
}

/// A node is a socket.
CpuidResult CpuidModel::amd_identity(unsigned processor) const {
  return {.eax = topology_.apic_id(processor),
          .ebx = topology_.core_of(processor) | (topology_.threads - 1) << 8,
          .ecx = topology_.socket_of(processor)};
}

}  // namespace eidolon::cpu
