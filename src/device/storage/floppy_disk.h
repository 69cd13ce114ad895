// The formats of diskettes, as an image's size tells them.
#pragma once

#include <cstdint>
#include <optional>

namespace eidolon::device::storage {

struct FloppyFormat {
  static constexpr uint32_t kSector = 512;

  uint8_t cylinders;
  uint8_t heads;
  uint8_t sectors;  ///< of a track
  uint8_t rate;     ///< as the data rate register has it: 0 is 500 kbit/s, 1 300, 2 250, 3 1000
  uint8_t drive;    ///< the type of a drive that takes it, as the CMOS memory has it (byte 0x10)

  [[nodiscard]] constexpr uint64_t bytes() const { return uint64_t{cylinders} * heads * sectors * kSector; }
};

/// Nothing if no diskette is that large.
[[nodiscard]] std::optional<FloppyFormat> floppy_format(uint64_t bytes);

}  // namespace eidolon::device::storage
