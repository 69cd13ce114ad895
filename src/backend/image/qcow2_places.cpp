#include "backend/image/qcow2_places.h"

#include <array>

#include "backend/image/big_endian.h"
#include "backend/image/qcow2_format.h"

namespace eidolon::backend::image::qcow2 {

bool Places::add(uint64_t offset, uint64_t length) {
  bool fresh = true;
  for (uint64_t cluster = offset >> cluster_bits_; cluster << cluster_bits_ < offset + length; ++cluster)
    fresh = clusters_.insert(cluster).second && fresh;
  return fresh;
}

void Places::remove(uint64_t offset, uint64_t length) {
  for (uint64_t cluster = offset >> cluster_bits_; cluster << cluster_bits_ < offset + length; ++cluster)
    clusters_.erase(cluster);
}

bool Places::touched(uint64_t offset, uint64_t length) const {
  for (uint64_t cluster = offset >> cluster_bits_; cluster << cluster_bits_ < offset + length; ++cluster)
    if (clusters_.contains(cluster)) return true;
  return false;
}

std::unexpected<device::storage::IoStatus> Health::found_corrupt(const std::string& what) {
  if (corrupt_.exchange(true)) return io_failed();
  if (version_ >= 3 && !file_.read_only()) {
    std::array<uint8_t, 8> bits;
    store_big_endian(bits.data(), incompatible_ | kIncompatibleCorrupt);
    // The image is lost to writing either way, so what comes of this does not matter.
    (void)write_bytes(file_, at::kIncompatible, bits);
    (void)file_.flush();
  }
  sentence_ = fmt::format(
      "image '{}' is damaged: {}; nothing is written to it any more, so copy what can be read, or repair it "
      "with qemu-img "
      "check -r all",
      name_, what);
  if (say_) say_(sentence_);
  return io_failed();
}

}  // namespace eidolon::backend::image::qcow2
