// A disk that is read from an image which is a table of equal blocks: VDI and VHDX.
#pragma once

#include <memory>
#include <vector>

#include "backend/image/file.h"
#include "backend/image/read_only_medium.h"

namespace eidolon::backend::image {

class BlockMapMedium final : public ReadOnlyMedium {
 public:
  static constexpr uint64_t kNowhere = ~uint64_t{0};  ///< a block of zeroes
  struct Map {
    uint64_t size;  ///< of the disk
    uint64_t block_bytes;
    std::vector<uint64_t> places;  ///< of the blocks, in the file; as many as the disk has
  };
  BlockMapMedium(std::unique_ptr<File> file, Map map) : file_(std::move(file)), map_(std::move(map)) {}
  [[nodiscard]] uint64_t size() const override { return map_.size; }
  [[nodiscard]] IoStatus read(uint64_t offset, std::span<const iovec> into) override;

 private:
  const std::unique_ptr<File> file_;
  const Map map_;
};

}  // namespace eidolon::backend::image
