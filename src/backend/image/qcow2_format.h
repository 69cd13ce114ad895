// The qcow2 format as data (QEMU, docs/interop/qcow2.txt): places in the header, feature bits, table entries.
#pragma once

#include <cstdint>

namespace eidolon::backend::image::qcow2 {

constexpr uint32_t kMagic = 0x514649fb;  // "QFI\xfb"

/// Byte offsets in the header; from kIncompatible on in version 3 only.
namespace at {
constexpr unsigned kVersion = 4, kBackingOffset = 8, kBackingSize = 16, kClusterBits = 20, kSize = 24,
                   kEncryption = 32, kL1Size = 36, kL1Offset = 40, kRefcountOffset = 48,
                   kRefcountClusters = 56, kSnapshots = 60, kSnapshotsOffset = 64, kIncompatible = 72,
                   kCompatible = 80, kAutoclear = 88, kRefcountOrder = 96, kHeaderLength = 100,
                   kCompression = 104;
}
constexpr uint32_t kHeaderBytesV2 = 72, kHeaderBytesV3 = 104, kHeaderBytes = 112;

constexpr uint64_t kIncompatibleDirty = 1 << 0, kIncompatibleCorrupt = 1 << 1, kIncompatibleDataFile = 1 << 2,
                   kIncompatibleCompression = 1 << 3, kIncompatibleExtendedL2 = 1 << 4;
constexpr uint64_t kCompatibleLazyRefcounts = 1 << 0;

constexpr uint32_t kExtensionEnd = 0, kExtensionBackingFormat = 0xe2792aca,
                   kExtensionFeatureNames = 0x6803f857;

constexpr unsigned kMinClusterBits = 9, kMaxClusterBits = 21;
constexpr uint64_t kMaxL1Bytes = 32u << 20, kMaxRefcountTableBytes = 8u << 20, kMaxSnapshots = 65536;

/// Of an L1 or L2 entry and, without the flags, of the refcount table.
constexpr uint64_t kEntryOffset = 0x00fffffffffffe00;
/// The cluster's refcount is exactly one: it may be written where it is.
constexpr uint64_t kEntryCopied = uint64_t{1} << 63;
constexpr uint64_t kEntryCompressed = uint64_t{1} << 62;
constexpr uint64_t kEntryZero = 1;

/// Where the bytes of a compressed cluster may lie: the last sector may belong to the next one, too.
struct CompressedPlace {
  uint64_t offset;
  uint64_t length;
};
[[nodiscard]] constexpr CompressedPlace compressed_place(uint64_t entry, unsigned cluster_bits) {
  const unsigned offset_bits = 62 - (cluster_bits - 8);
  const uint64_t offset = entry & ((uint64_t{1} << offset_bits) - 1);
  const uint64_t more_sectors = (entry & (kEntryCompressed - 1)) >> offset_bits;
  return {.offset = offset, .length = (more_sectors + 1) * 512 - offset % 512};
}

}  // namespace eidolon::backend::image::qcow2
