// Answers to CPUID from a finished model. What depends on the asking processor is filled in here.
#include "cpu/cpuid_model.h"

#include <algorithm>

#include "x86/control_registers.h"
#include "x86/cpuid.h"

namespace eidolon::cpu {

namespace {

constexpr uint32_t kLegacyAndHeader = 576;
constexpr unsigned kComponents = 8;

}  // namespace

const CpuidLeaf* CpuidModel::find(uint32_t leaf, uint32_t subleaf) const {
  const auto key = [](const CpuidLeaf& row) { return std::pair(row.leaf, row.subleaf); };
  auto row = std::ranges::lower_bound(leaves_, std::pair(leaf, uint32_t{0}), {}, key);
  if (row == leaves_.end() || row->leaf != leaf) return nullptr;
  if (!row->has_subleaves) return &*row;
  row = std::ranges::lower_bound(row, leaves_.end(), std::pair(leaf, subleaf), {}, key);
  return row != leaves_.end() && row->leaf == leaf && row->subleaf == subleaf ? &*row : nullptr;
}

void CpuidModel::hide_random_numbers() {
  namespace id = x86::cpuid;
  for (CpuidLeaf& row : leaves_) {
    if (row.leaf == 1) row.result.ecx &= ~id::kRdrand;
    if (row.leaf == 7 && row.subleaf == 0) row.result.ebx &= ~id::kRdseed;
  }
}

uint32_t CpuidModel::standard_size(uint64_t xcr0) const {
  uint32_t size = kLegacyAndHeader;
  for (unsigned i = 2; i < kComponents; ++i) {
    if ((xcr0 >> i & 1) != 0) size = std::max(size, components_[i].offset + components_[i].size);
  }
  return size;
}

uint32_t CpuidModel::compacted_size(uint64_t xcr0) const {
  uint32_t size = kLegacyAndHeader;
  for (unsigned i = 2; i < kComponents; ++i) {
    if ((xcr0 >> i & 1) == 0) continue;
    if (components_[i].aligned) size = (size + 63) & ~63u;
    size += components_[i].size;
  }
  return size;
}

CpuidResult CpuidModel::query(uint32_t leaf, uint32_t subleaf, uint64_t cr4, uint64_t xcr0,
                              unsigned processor) const {
  namespace id = x86::cpuid;
  if (leaves_.empty()) return {};
  // Intel's processors answer for the highest basic leaf when asked beyond it; AMD's with zeros.
  const uint32_t highest = leaves_.front().result.eax;
  const bool beyond = leaf > highest && (leaf < id::kHypervisor || leaf > id::kHypervisor + 0xffff) &&
                      find(leaf, subleaf) == nullptr;
  if (beyond && !amd_) leaf = highest;

  if (leaf == id::kTopology || leaf == id::kTopologyV2) {
    return find(leaf, 0) != nullptr ? topology_level(subleaf, processor) : CpuidResult{};
  }
  const CpuidLeaf* row = find(leaf, subleaf);
  if (row == nullptr) return {};
  CpuidResult result = row->result;
  if (leaf == id::kAmdTopology) return amd_identity(processor);
  if (leaf == id::kVersion) {
    result.ebx |= topology_.apic_id(processor) << 24;
    if ((cr4 & x86::kCr4OsXsave) != 0) result.ecx |= id::kOsXsave;
  } else if (leaf == id::kXsave && subleaf == 0) {
    result.ebx = standard_size(xcr0);
  } else if (leaf == id::kXsave && subleaf == 1) {
    if ((result.eax & id::kXsaveC) != 0) result.ebx = compacted_size(xcr0);
  }
  return result;
}

}  // namespace eidolon::cpu
