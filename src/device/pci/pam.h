// The memory between 768 KiB and 1 MiB as the host bridge's PAM registers show it (Intel 3 Series Express
// datasheet, 5.1.12 to 5.1.18): 13 segments, in each of which reads go to RAM or, by default, to the
// firmware's ROM, and writes to RAM or nowhere. Firmware copies itself into the RAM and locks it.
//
// The top of the ROM is shown at the end of the range; below it, there is the RAM, locked. Writes to RAM that
// is not shown are lost: no firmware for this chipset makes any.
#pragma once

#include <array>
#include <cstdint>

#include "base/result.h"
#include "memory/guest_memory.h"

namespace eidolon::device::pci {

class Pam {
 public:
  static constexpr unsigned kRegisters = 7;
  static constexpr uint64_t kBase = 0xc0000, kEnd = 0x100000;
  static constexpr uint64_t kMostRom = 0x20000;  ///< bytes of the ROM that are shown here, from its end

  explicit Pam(memory::GuestMemory& memory) : memory_(memory) {}
  /// Adds the range to the memory. `rom_end` is behind the ROM's last byte, `rom_length` at least 64 KiB.
  Result<> attach(uint8_t* rom_end, uint64_t rom_length);
  /// What the seven registers say, on the processor's thread, one call at a time (the host bridge's hooks).
  /// Nothing before attach().
  void apply(const std::array<uint8_t, kRegisters>& registers);

 private:
  static constexpr unsigned kSegments = 13;
  enum Access : uint8_t { kReadRam = 1, kWriteRam = 2 };

  void show(unsigned segment, uint8_t access);

  memory::GuestMemory& memory_;
  uint8_t* rom_end_ = nullptr;
  uint64_t rom_length_ = 0;
  std::array<uint8_t*, kSegments> ram_{};
  std::array<uint8_t, kSegments> shown_{};
};

}  // namespace eidolon::device::pci
