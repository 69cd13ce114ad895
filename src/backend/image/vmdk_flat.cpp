// Extents that need no map: flat ones, and zeroes.
#include "backend/image/parts.h"
#include "backend/image/vmdk_extent.h"

namespace eidolon::backend::image {

namespace {

class Flat final : public VmdkPart {
 public:
  Flat(std::unique_ptr<File> file, uint64_t offset, uint64_t size)
      : file_(std::move(file)), offset_(offset), size_(size) {}
  [[nodiscard]] uint64_t size() const override { return size_; }
  [[nodiscard]] IoResult<> read(uint64_t offset, std::span<const iovec> into) override {
    return checked(file_->read(offset_ + offset, into));
  }

 private:
  const std::unique_ptr<File> file_;
  const uint64_t offset_, size_;
};

class Zero final : public VmdkPart {
 public:
  explicit Zero(uint64_t size) : size_(size) {}
  [[nodiscard]] uint64_t size() const override { return size_; }
  [[nodiscard]] IoResult<> read(uint64_t /*offset*/, std::span<const iovec> into) override {
    clear(into);
    return {};
  }

 private:
  const uint64_t size_;
};

}  // namespace

std::unique_ptr<VmdkPart> make_vmdk_flat(std::unique_ptr<File> file, uint64_t offset, uint64_t size) {
  return std::make_unique<Flat>(std::move(file), offset, size);
}

std::unique_ptr<VmdkPart> make_vmdk_zero(uint64_t size) { return std::make_unique<Zero>(size); }

}  // namespace eidolon::backend::image
