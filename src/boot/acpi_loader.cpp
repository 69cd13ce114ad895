#include "boot/acpi_loader.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace eidolon::boot {

namespace {

enum Command : uint32_t { kAllocate = 1, kAddPointer = 2, kAddChecksum = 3 };
enum Zone : uint8_t { kHigh = 1, kBelow1MiB = 2 };

constexpr size_t kEntry = 128, kName = 56;

/// One entry of the script; what is not written stays zero.
class Entry {
 public:
  explicit Entry(uint32_t command) { number(command); }
  Entry& file(std::string_view name) {
    std::ranges::copy(name, bytes_.begin() + static_cast<std::ptrdiff_t>(at_));
    at_ += kName;
    return *this;
  }
  template <typename T>
  Entry& number(T value) {
    put(std::span(bytes_), at_, value);
    at_ += sizeof(T);
    return *this;
  }
  void append_to(std::vector<uint8_t>& script) const {
    script.insert(script.end(), bytes_.begin(), bytes_.end());
  }

 private:
  std::array<uint8_t, kEntry> bytes_{};
  size_t at_ = 0;
};

void fix(std::vector<uint8_t>& script, std::string_view file, const std::vector<AcpiBlob::Pointer>& pointers,
         const std::vector<AcpiBlob::Checksum>& checksums) {
  for (const AcpiBlob::Pointer& pointer : pointers)
    Entry(kAddPointer)
        .file(file)
        .file(kAcpiTablesFile)
        .number(pointer.at)
        .number(pointer.size)
        .append_to(script);
  for (const AcpiBlob::Checksum& sum : checksums)
    Entry(kAddChecksum).file(file).number(sum.at).number(sum.begin).number(sum.length).append_to(script);
}

}  // namespace

std::vector<uint8_t> make_loader_script(const AcpiBlob& blob) {
  std::vector<uint8_t> script;
  Entry(kAllocate).file(kAcpiRsdpFile).number(uint32_t{16}).number(kBelow1MiB).append_to(script);
  Entry(kAllocate).file(kAcpiTablesFile).number(AcpiBlob::kAlignment).number(kHigh).append_to(script);
  fix(script, kAcpiTablesFile, blob.pointers, blob.checksums);
  fix(script, kAcpiRsdpFile, blob.rsdp_pointers, blob.rsdp_checksums);
  return script;
}

}  // namespace eidolon::boot
