#include "boot/smbios.h"

#include <algorithm>
#include <string_view>

#include "base/try.h"
#include "boot/acpi_table.h"
#include "boot/memory_layout.h"
#include "boot/placement.h"

namespace eidolon::boot {

namespace {

constexpr uint64_t kAnchorSize = 31, kIntermediate = 16;
constexpr uint16_t kUnknownHandle = 0xfffe, kMemoryArrayHandle = 0x1000;
constexpr std::string_view kMaker = "Eidolon";

/// Structures one behind the other: the fixed part, then its strings, by which it counts them from 1.
class Writer {
 public:
  /// `length` is that of the fixed part (each type's section in chapter 7); fields are set by put().
  Writer& begin(uint8_t type, uint16_t handle, uint8_t length) {
    start_ = tables.size();
    tables.resize(start_ + length);
    put<uint8_t>(0, type);
    put<uint8_t>(1, length);
    put<uint16_t>(2, handle);
    return *this;
  }
  template <typename T>
  Writer& put(size_t at, T value) {
    boot::put(tables, start_ + at, value);
    return *this;
  }
  Writer& string(size_t at, std::string_view text) {
    add_string(text);
    return put(at, static_cast<uint8_t>(strings_.size()));
  }
  Writer& add_string(std::string_view text) {
    strings_.emplace_back(text);
    return *this;
  }
  void end() {
    for (const std::string& text : strings_) {
      tables.insert(tables.end(), text.begin(), text.end());
      tables.push_back(0);
    }
    if (strings_.empty()) tables.push_back(0);
    tables.push_back(0);
    strings_.clear();
    longest = std::max(longest, tables.size() - start_);
    ++count;
  }

  std::vector<uint8_t> tables;
  size_t longest = 0;
  uint16_t count = 0;

 private:
  size_t start_ = 0;
  std::vector<std::string> strings_;
};

void describe_machine(Writer& w, const SmbiosConfig& config) {
  if (config.firmware_entry) {
    w.begin(0, 0, 24).string(4, kMaker).string(5, "1").put<uint16_t>(6, 0xe000).string(8, "01/01/2026");
    w.put<uint8_t>(9, 1);          // 128 KiB of ROM
    w.put<uint64_t>(10, 1u << 3);  // no characteristics are listed
    w.put<uint8_t>(19, 1u << 4);   // a virtual machine
    w.put<uint16_t>(20, 0xffff).put<uint16_t>(22, 0xffff).end();
  }
  w.begin(1, 0x100, 27).string(4, kMaker).string(5, "Standard PC (Q35)").string(6, "1");
  w.put<uint8_t>(24, 6);  // woken by the power switch
  w.end();
  w.begin(3, 0x300, 22).string(4, kMaker).put<uint8_t>(5, 1);  // of a type that has no name
  w.put<uint8_t>(9, 3).put<uint8_t>(10, 3).put<uint8_t>(11, 3).put<uint8_t>(12, 2).end();
}

/// One for each socket.
void describe_processors(Writer& w, const x86::Topology& topology) {
  constexpr uint16_t k64Bit = 1u << 2, kSeveralCores = 1u << 3, kSeveralThreads = 1u << 4;
  const auto traits = static_cast<uint16_t>(k64Bit | (topology.cores > 1 ? kSeveralCores : 0) |
                                            (topology.threads > 1 ? kSeveralThreads : 0));
  const auto cores = static_cast<uint8_t>(topology.cores);
  const auto threads = static_cast<uint8_t>(topology.processors_per_socket());
  for (unsigned i = 0; i < topology.sockets; ++i) {
    w.begin(4, static_cast<uint16_t>(0x400 + i), 42).string(4, fmt::format("CPU {}", i));
    w.put<uint8_t>(5, 3).put<uint8_t>(6, 1).string(7, kMaker);  // a central processor of another family
    w.put<uint8_t>(24, 0x41).put<uint8_t>(25, 1);               // present and enabled; socket: other
    for (const size_t cache : {26, 28, 30}) w.put<uint16_t>(cache, 0xffff);
    w.put(35, cores).put(36, cores).put(37, threads).put(38, traits).put<uint16_t>(40, 1);
    w.end();
  }
}

void describe_range(Writer& w, uint16_t handle, uint64_t base, uint64_t bytes) {
  if (bytes == 0) return;
  w.begin(19, handle, 31).put<uint32_t>(4, 0xffffffff).put<uint32_t>(8, 0xffffffff);
  w.put(12, kMemoryArrayHandle).put<uint8_t>(14, 1);
  w.put<uint64_t>(15, base).put<uint64_t>(23, base + bytes - 1).end();
}

void describe_memory(Writer& w, const SmbiosConfig& config) {
  const uint64_t bytes = config.low_bytes + config.high_bytes;
  w.begin(16, kMemoryArrayHandle, 23).put<uint8_t>(4, 1).put<uint8_t>(5, 3).put<uint8_t>(6, 3);
  w.put<uint32_t>(7, 0x80000000).put(11, kUnknownHandle).put<uint16_t>(13, 1).put(15, bytes).end();

  constexpr uint64_t kMostMiB = 0x7fff;
  const uint64_t mib = bytes >> 20;
  w.begin(17, 0x1100, 40).put(4, kMemoryArrayHandle).put(6, kUnknownHandle);
  w.put<uint16_t>(8, 0xffff).put<uint16_t>(10, 0xffff);
  w.put(12, static_cast<uint16_t>(std::min(mib, kMostMiB)));
  w.put<uint8_t>(14, 9).string(16, "DIMM 0").put<uint8_t>(18, 7).string(23, kMaker);
  if (mib >= kMostMiB) w.put(28, static_cast<uint32_t>(mib));
  w.end();

  describe_range(w, 0x1300, 0, config.low_bytes);
  describe_range(w, 0x1301, kMmioHoleEnd, config.high_bytes);
}

Result<> add_strings(Writer& w, const std::vector<std::string>& strings) {
  if (strings.empty()) return {};
  constexpr size_t kMost = 255;
  if (strings.size() > kMost)
    return fail("{} SMBIOS strings are more than the {} that a table can hold; leave out some",
                strings.size(), kMost);
  w.begin(11, 0xe00, 5).put(4, static_cast<uint8_t>(strings.size()));
  for (const std::string& text : strings) {
    if (text.empty() || text.find('\0') != std::string::npos)
      return fail("an SMBIOS string cannot be empty; leave it out");
    w.add_string(text);
  }
  w.end();
  return {};
}

std::vector<uint8_t> make_anchor(const Writer& w, uint32_t address) {
  std::vector<uint8_t> anchor(kAnchorSize);
  put<uint32_t>(anchor, 0, 0x5f4d535f);  // "_SM_"
  put<uint8_t>(anchor, 5, kAnchorSize);
  put<uint8_t>(anchor, 6, 2);
  put<uint8_t>(anchor, 7, 8);
  put(anchor, 8, static_cast<uint16_t>(w.longest));
  std::ranges::copy(std::string_view("_DMI_"), anchor.begin() + kIntermediate);
  put(anchor, 22, static_cast<uint16_t>(w.tables.size()));
  put(anchor, 24, address);
  put(anchor, 28, w.count);
  put<uint8_t>(anchor, 30, 0x28);
  anchor[21] = acpi_checksum(Image(anchor).subspan(kIntermediate));
  anchor[4] = acpi_checksum(anchor);
  return anchor;
}

}  // namespace

Result<Smbios> make_smbios(const SmbiosConfig& config, uint32_t tables_address) {
  Writer w;
  describe_machine(w, config);
  describe_processors(w, config.topology);
  EIDOLON_TRY(add_strings(w, config.oem_strings));
  describe_memory(w, config);
  w.begin(32, 0x2000, 11).end();
  w.begin(127, 0x7f00, 4).end();
  constexpr size_t kMost = 0xffff;
  if (w.tables.size() > kMost)
    return fail("the SMBIOS tables have {} bytes and may have {}; shorten the strings for the guest",
                w.tables.size(), kMost);
  std::vector<uint8_t> anchor = make_anchor(w, tables_address);
  return Smbios{.tables = std::move(w.tables), .anchor = std::move(anchor)};
}

Result<> write_smbios(memory::GuestMemory& memory, const SmbiosConfig& config) {
  constexpr uint64_t kTables = kSmbiosAnchor + 32;
  const Smbios smbios = EIDOLON_TRY(make_smbios(config, static_cast<uint32_t>(kTables)));
  if (smbios.tables.size() > kFirmwareEnd - kTables)
    return fail(
        "the SMBIOS tables have {} bytes, too many for a kernel that is booted directly; shorten the "
        "strings for the guest",
        smbios.tables.size());
  EIDOLON_TRY(place_table(memory, kTables, smbios.tables));
  return place_table(memory, kSmbiosAnchor, smbios.anchor);
}

}  // namespace eidolon::boot
