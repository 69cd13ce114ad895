#include "backend/image/qcow2_compressed.h"

#include "backend/image/decompress.h"
#include "backend/image/qcow2_format.h"
#include "base/try.h"

namespace eidolon::backend::image::qcow2 {

IoResult<Compressed::Cluster> Compressed::read(uint64_t entry) {
  {
    std::lock_guard lock(mutex_);
    for (const Kept& kept : kept_)
      if (kept.entry == entry) return kept.cluster;
  }
  const CompressedPlace place = compressed_place(entry, header_.cluster_bits);
  if (place.offset >= file_.size()) return io_failed();
  std::vector<uint8_t> packed(place.length);
  const iovec part = {packed.data(), packed.size()};
  EIDOLON_TRY(read_padded(file_, place.offset, {&part, 1}));
  auto cluster = std::make_shared<std::vector<uint8_t>>(header_.cluster_bytes());
  const bool sound = header_.compression == Compression::kZstd ? decompress_zstd(packed, *cluster)
                                                               : inflate_raw(packed, *cluster);
  if (!sound) return io_failed();
  std::lock_guard lock(mutex_);
  kept_[next_++ % kept_.size()] = {.entry = entry, .cluster = cluster};
  return cluster;
}

void Compressed::forget() {
  std::lock_guard lock(mutex_);
  kept_ = {};
}

}  // namespace eidolon::backend::image::qcow2
