#include "backend/image/vmdk.h"

#include <algorithm>
#include <vector>

#include "backend/image/little_endian.h"
#include "backend/image/parts.h"
#include "backend/image/read_only_medium.h"
#include "backend/image/vmdk_descriptor.h"
#include "backend/image/vmdk_extent.h"
#include "base/try.h"

namespace eidolon::backend::image {

namespace {

constexpr uint64_t kSector = 512;

/// The extents in a row.
class VmdkMedium final : public ReadOnlyMedium {
 public:
  void add(std::unique_ptr<VmdkPart> part) {
    size_ += part->size();
    parts_.push_back({.end = size_, .part = std::move(part)});
  }
  [[nodiscard]] uint64_t size() const override { return size_; }
  [[nodiscard]] IoStatus read(uint64_t offset, std::span<const iovec> into) override {
    const uint64_t total = bytes_of(into);
    for (uint64_t done = 0; done < total;) {
      const uint64_t at = offset + done;
      const auto found = std::upper_bound(parts_.begin(), parts_.end(), at,
                                          [](uint64_t one, const Placed& other) { return one < other.end; });
      const uint64_t start = found->end - found->part->size();
      const uint64_t length = std::min(total - done, found->end - at);
      if (const IoResult<> result = found->part->read(at - start, part_of(into, done, length)); !result)
        return result.error();
      done += length;
    }
    return IoStatus::kDone;
  }

 private:
  struct Placed {
    uint64_t end;
    std::unique_ptr<VmdkPart> part;
  };
  std::vector<Placed> parts_;
  uint64_t size_ = 0;
};

Result<std::unique_ptr<VmdkPart>> open_part(const VmdkExtent& extent, const std::string& name,
                                            const VmdkFiles& files) {
  const uint64_t size = extent.sectors * kSector;
  if (extent.kind == VmdkExtent::Kind::kZero) return make_vmdk_zero(size);
  std::unique_ptr<File> file = EIDOLON_TRY(files(extent.file));
  if (extent.kind == VmdkExtent::Kind::kFlat) {
    if (file->size() < size || extent.offset * kSector > file->size() - size)
      return fail("image '{}' is damaged: its extent '{}' is too short; restore it from a copy", name,
                  extent.file);
    return make_vmdk_flat(std::move(file), extent.offset * kSector, size);
  }
  std::unique_ptr<VmdkPart> part = EIDOLON_TRY(open_vmdk_sparse(std::move(file), extent.file));
  if (part->size() != size)
    return fail(
        "image '{}' is damaged: its extent '{}' has another size than it says; restore it from a copy", name,
        extent.file);
  return part;
}

bool is_sparse_extent(File& file) {
  std::array<uint8_t, 4> magic;
  return read_bytes(file, 0, magic) && std::equal(magic.begin(), magic.end(), "KDMV");
}

Result<std::string> read_text(File& file, const std::string& name) {
  constexpr uint64_t kLongest = 1 << 20;
  std::vector<uint8_t> bytes(std::min(file.size(), kLongest));
  if (!read_bytes(file, 0, bytes)) return fail("cannot read image '{}'; see whether its disk is sound", name);
  return std::string(bytes.begin(), bytes.end());
}

}  // namespace

Result<std::unique_ptr<device::storage::Medium>> open_vmdk(std::unique_ptr<File> file,
                                                           const std::string& name, const VmdkFiles& files) {
  auto medium = std::make_unique<VmdkMedium>();
  if (is_sparse_extent(*file)) {
    // The descriptor inside names this very file.
    const std::string text = EIDOLON_TRY(read_vmdk_descriptor(*file, name));
    EIDOLON_TRY(parse_vmdk_descriptor(text, name));
    medium->add(EIDOLON_TRY(open_vmdk_sparse(std::move(file), name)));
    return medium;
  }
  const std::string text = EIDOLON_TRY(read_text(*file, name));
  if (!text.starts_with("# Disk DescriptorFile"))
    return fail("image '{}' is VMDK of a kind that is not supported; convert it with qemu-img convert", name);
  const VmdkDescriptor descriptor = EIDOLON_TRY(parse_vmdk_descriptor(text, name));
  for (const VmdkExtent& extent : descriptor.extents)
    medium->add(EIDOLON_TRY(open_part(extent, name, files)));
  if (medium->size() == 0)
    return fail("image '{}' is damaged: it names no extent; restore it from a copy", name);
  return medium;
}

}  // namespace eidolon::backend::image
