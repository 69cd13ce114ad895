#include "device/storage/floppy_disk.h"

#include <array>

namespace eidolon::device::storage {

namespace {
constexpr uint8_t k360K = 1, k1200K = 2, k720K = 3, k1440K = 4, k2880K = 5;
constexpr std::array kFormats = std::to_array<FloppyFormat>({
    {80, 2, 18, 0, k1440K},
    {80, 2, 36, 3, k2880K},
    {80, 2, 9, 2, k720K},
    {80, 2, 15, 0, k1200K},
    {40, 2, 9, 2, k360K},
    {80, 2, 21, 0, k1440K},  // 1680 KiB, as Microsoft shipped software
    {82, 2, 21, 0, k1440K},
});
}  // namespace

std::optional<FloppyFormat> floppy_format(uint64_t bytes) {
  for (const FloppyFormat& format : kFormats)
    if (format.bytes() == bytes) return format;
  return std::nullopt;
}

}  // namespace eidolon::device::storage
