// KVM's structures that end with as many entries as they say. <linux/kvm.h> has them too, but the marks of
// its flexible arrays take up room in C++, which moves the entries and changes the requests' numbers.
#pragma once

#include <linux/kvm.h>

#include <cstdint>
#include <vector>

namespace eidolon::engine::kvm {

struct CpuidTable {  ///< struct kvm_cpuid2
  uint32_t count, padding;
  kvm_cpuid_entry2 entries[];
};
struct MsrTable {  ///< struct kvm_msrs
  uint32_t count, padding;
  kvm_msr_entry entries[];
};
struct RoutingTable {  ///< struct kvm_irq_routing
  uint32_t count, flags;
  kvm_irq_routing_entry entries[];
};
struct XsaveArea {  ///< struct kvm_xsave, of which there may be more
  uint32_t region[1024];
};
static_assert(sizeof(CpuidTable) == 8 && sizeof(MsrTable) == 8 && sizeof(RoutingTable) == 8 &&
              sizeof(XsaveArea) == 4096);

inline constexpr unsigned long kGetSupportedCpuid = _IOWR(KVMIO, 0x05, CpuidTable),
                               kSetCpuid2 = _IOW(KVMIO, 0x90, CpuidTable),
                               kGetMsrs = _IOWR(KVMIO, 0x88, MsrTable),
                               kSetMsrs = _IOW(KVMIO, 0x89, MsrTable),
                               kSetGsiRouting = _IOW(KVMIO, 0x6a, RoutingTable),
                               kGetXsave = _IOR(KVMIO, 0xa4, XsaveArea),
                               kGetXsave2 = _IOR(KVMIO, 0xcf, XsaveArea),
                               kSetXsave = _IOW(KVMIO, 0xa5, XsaveArea);

/// One of them, zeroed, with room for `count` entries.
template <typename Table>
class Room {
 public:
  explicit Room(size_t count)
      : words_((sizeof(Table) + count * sizeof(Table::entries[0])) / sizeof(uint64_t) + 1) {}
  // SAFETY: plain integers, aligned no more than a uint64_t, which zeros make valid.
  [[nodiscard]] Table* get() { return reinterpret_cast<Table*>(words_.data()); }
  Table* operator->() { return get(); }

 private:
  std::vector<uint64_t> words_;
};

}  // namespace eidolon::engine::kvm
