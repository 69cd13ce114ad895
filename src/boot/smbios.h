// The SMBIOS tables of the machine (DMTF DSP0134, 2.8): what it is called, its processors and its memory, and
// strings of the user's for the software in the guest (type 11: systemd takes credentials from there).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "memory/guest_memory.h"
#include "x86/topology.h"

namespace eidolon::boot {

struct SmbiosConfig {
  x86::Topology topology{};
  uint64_t low_bytes = 0;   ///< RAM below 4 GiB, from 0 on
  uint64_t high_bytes = 0;  ///< RAM from 4 GiB on
  std::vector<std::string> oem_strings{};
  bool firmware_entry = false;  ///< type 0, which firmware otherwise adds itself
};

inline constexpr const char* kSmbiosTablesFile = "etc/smbios/smbios-tables";
inline constexpr const char* kSmbiosAnchorFile = "etc/smbios/smbios-anchor";

struct Smbios {
  std::vector<uint8_t> tables;
  std::vector<uint8_t> anchor;  ///< the entry point: with the tables' address 0, if firmware is to fill it in
};
/// The error says which string is too much.
[[nodiscard]] Result<Smbios> make_smbios(const SmbiosConfig& config, uint32_t tables_address = 0);

/// Writes both to the firmware's range below 1 MiB, where an operating system looks for the entry point.
[[nodiscard]] Result<> write_smbios(memory::GuestMemory& memory, const SmbiosConfig& config);

}  // namespace eidolon::boot
