// What this host offers to a monitor: read once from the kernel's own files, for `eidolon check` and for the
// choice of an engine. Nothing here opens /dev/kvm.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "machine/virtualization.h"

namespace eidolon::machine {

struct HostFacts {
  std::string vendor;           ///< "GenuineIntel", "AuthenticAMD" ...
  std::string processor;        ///< the model's name
  std::set<std::string> flags;  ///< as /proc/cpuinfo names them, VMX's own ones ("ept") included
  bool vmx_flags_told = false;  ///< those of VMX have a line of their own, from Linux 5.6 on
  unsigned processors = 0;      ///< online

  bool kvm_device = false;                   ///< /dev/kvm exists
  KvmModule kvm_module;                      ///< also where it is part of the kernel
  bool fsgsbase = false;                     ///< user code may execute WRFSBASE and WRGSBASE
  bool memfd = false;                        ///< memfd_create() works
  std::string transparent_huge_pages;        ///< "always", "madvise", "never", or "" if unknown
  std::string transparent_huge_pages_shmem;  ///< the same for memfd memory
  uint64_t reserved_huge_pages = 0;          ///< of vm.nr_hugepages
  uint64_t max_map_count = 0;                ///< vm.max_map_count

  [[nodiscard]] bool has(const std::string& flag) const { return flags.contains(flag); }
};

[[nodiscard]] HostFacts read_host_facts();
[[nodiscard]] bool host_has_kvm_device();

/// The parts of read_host_facts that parse text, for its tests.
void parse_cpuinfo(std::string_view text, HostFacts& facts);
/// The choice in brackets: "always [madvise] never" is "madvise".
[[nodiscard]] std::string parse_bracketed(std::string_view text);

}  // namespace eidolon::machine
