#include "machine/host_facts.h"

#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>

#include "base/file.h"

namespace eidolon::machine {

namespace {

/// Empty if it cannot be read: what the kernel does not tell is simply not known.
std::string read_text(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

uint64_t read_number(const char* path) { return std::strtoull(read_text(path).c_str(), nullptr, 10); }

std::string_view trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\n");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\n") - first + 1);
}

}  // namespace

std::string parse_bracketed(std::string_view text) {
  const size_t open = text.find('[');
  const size_t close = text.find(']', open == text.npos ? 0 : open);
  if (open == text.npos || close == text.npos) return {};
  return std::string(text.substr(open + 1, close - open - 1));
}

void parse_cpuinfo(std::string_view text, HostFacts& facts) {
  // One paragraph per processor; the first speaks for all.
  const std::string_view first = text.substr(0, text.find("\n\n"));
  std::istringstream lines{std::string(first)};
  for (std::string line; std::getline(lines, line);) {
    const size_t colon = line.find(':');
    if (colon == line.npos) continue;
    const std::string_view key = trim(std::string_view(line).substr(0, colon));
    const std::string_view value = trim(std::string_view(line).substr(colon + 1));
    if (key == "vendor_id") facts.vendor = value;
    if (key == "model name") facts.processor = value;
    if (key == "vmx flags") facts.vmx_flags_told = true;
    if (key == "flags" || key == "vmx flags") {
      std::istringstream words{std::string(value)};
      facts.flags.insert(std::istream_iterator<std::string>(words), {});
    }
  }
}

bool host_has_kvm_device() {
  struct stat status {};
  return stat("/dev/kvm", &status) == 0 && S_ISCHR(status.st_mode);
}

HostFacts read_host_facts() {
  HostFacts facts;
  parse_cpuinfo(read_text("/proc/cpuinfo"), facts);
  facts.processors = static_cast<unsigned>(sysconf(_SC_NPROCESSORS_ONLN));

  facts.kvm_device = host_has_kvm_device();
  facts.kvm_module = read_kvm_module("/sys/module");
  constexpr unsigned long kHwcap2Fsgsbase =
      1u << 1;  // asm/hwcap2.h; the flag alone does not say that Linux enabled it
  facts.fsgsbase = (getauxval(AT_HWCAP2) & kHwcap2Fsgsbase) != 0;
  facts.memfd = FileDescriptor(memfd_create("eidolon-check", MFD_CLOEXEC)).valid();
  facts.transparent_huge_pages = parse_bracketed(read_text("/sys/kernel/mm/transparent_hugepage/enabled"));
  facts.transparent_huge_pages_shmem =
      parse_bracketed(read_text("/sys/kernel/mm/transparent_hugepage/shmem_enabled"));
  facts.reserved_huge_pages = read_number("/proc/sys/vm/nr_hugepages");
  facts.max_map_count = read_number("/proc/sys/vm/max_map_count");
  return facts;
}

}  // namespace eidolon::machine
