#include "backend/image/vdi.h"

#include <array>

#include "backend/image/block_map_medium.h"
#include "backend/image/little_endian.h"
#include "base/try.h"

namespace eidolon::backend::image {

namespace {

constexpr size_t kHeaderBytes = 512;
constexpr unsigned kSignatureAt = 0x40, kVersionAt = 0x44, kTypeAt = 0x4c, kMapAt = 0x154, kDataAt = 0x158,
                   kSectorBytesAt = 0x168, kSizeAt = 0x170, kBlockBytesAt = 0x178, kExtraBytesAt = 0x17c,
                   kBlocksAt = 0x180;
constexpr uint32_t kSignature = 0xbeda107f, kMajorVersion = 1, kDynamic = 1, kFixed = 2;
/// In the map: from here on no place, but a block of zeroes.
constexpr uint32_t kFirstNowhere = 0xfffffffe;
constexpr uint64_t kMostMapBytes = 64u << 20;

}  // namespace

Result<std::unique_ptr<device::storage::Medium>> open_vdi(std::unique_ptr<File> file,
                                                          const std::string& name) {
  const auto damaged = [&name](std::string_view what) {
    return fail("image '{}' is damaged: {}; restore it from a copy", name, what);
  };
  std::array<uint8_t, kHeaderBytes> header;
  if (!read_bytes(*file, 0, header)) return damaged("it is shorter than its header");
  const auto field = [&header](unsigned at) { return load_little_endian<uint32_t>(&header[at]); };
  if (field(kSignatureAt) != kSignature || field(kVersionAt) >> 16 != kMajorVersion)
    return fail("image '{}' is no VDI image of version 1; convert it with qemu-img convert", name);
  if (field(kTypeAt) != kDynamic && field(kTypeAt) != kFixed)
    return fail("image '{}' stands on another one, which is not supported for VDI; clone it with VBoxManage",
                name);
  BlockMapMedium::Map map{.size = load_little_endian<uint64_t>(&header[kSizeAt]),
                          .block_bytes = field(kBlockBytesAt),
                          .places = {}};
  const uint64_t stride = map.block_bytes + field(kExtraBytesAt), blocks = field(kBlocksAt);
  if (field(kSectorBytesAt) != 512 || map.size == 0 || map.size % 512 != 0 || map.block_bytes < 4096 ||
      map.block_bytes % 512 != 0)
    return damaged("its sizes are impossible");
  if (blocks * 4 > kMostMapBytes || map.size > blocks * map.block_bytes)
    return damaged("its block map has a wrong size");
  std::vector<uint8_t> bytes(blocks * 4);
  if (!read_bytes(*file, field(kMapAt), bytes)) return damaged("it is shorter than its block map");
  map.places.resize(blocks);
  for (uint64_t i = 0; i < blocks; ++i) {
    const auto entry = load_little_endian<uint32_t>(&bytes[i * 4]);
    map.places[i] = entry >= kFirstNowhere ? BlockMapMedium::kNowhere
                                           : field(kDataAt) + entry * stride + field(kExtraBytesAt);
  }
  return std::make_unique<BlockMapMedium>(std::move(file), std::move(map));
}

}  // namespace eidolon::backend::image
