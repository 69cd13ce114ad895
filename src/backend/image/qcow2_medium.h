// A disk in a qcow2 image, version 2 or 3, to read and to write.
//
// What is on the host's disk is an image without errors at every moment, also for a monitor or a host that
// dies: changed tables wait in memory until sync(), which writes counts that go up, then the tables that use
// the clusters, then counts that go down, each on the disk before the next (qcow2_refcounts.h). What the
// guest has flushed is found again, what it has not may be lost, as on any disk with a cache.
#pragma once

#include <memory>
#include <string>

#include "backend/image/fair_lock.h"
#include "backend/image/file.h"
#include "backend/image/qcow2_compressed.h"
#include "backend/image/qcow2_header.h"
#include "backend/image/qcow2_mapping.h"
#include "backend/image/qcow2_places.h"
#include "backend/image/qcow2_refcounts.h"
#include "base/result.h"
#include "device/storage/medium.h"

namespace eidolon::backend::image {

class Qcow2Medium final : public device::storage::Medium {
 public:
  using IoStatus = device::storage::IoStatus;
  /// `header` is of `file`; `backing` may be null. `say` is told when the image turns out to be damaged
  /// later.
  static Result<std::unique_ptr<Qcow2Medium>> open(std::unique_ptr<File> file, const std::string& name,
                                                   const qcow2::Header& header,
                                                   std::unique_ptr<Medium> backing, qcow2::Health::Say say);
  ~Qcow2Medium() override;

  [[nodiscard]] uint64_t size() const override { return header_.size; }
  [[nodiscard]] bool read_only() const override { return file_->read_only(); }
  [[nodiscard]] IoStatus read(uint64_t offset, std::span<const iovec> into) override;
  [[nodiscard]] IoStatus write(uint64_t offset, std::span<const iovec> from) override;
  [[nodiscard]] IoStatus flush() override;
  [[nodiscard]] IoStatus discard(uint64_t offset, uint64_t length) override;
  [[nodiscard]] IoStatus write_zeroes(uint64_t offset, uint64_t length, bool may_unmap) override;
  [[nodiscard]] IoStatus let_go() override;
  [[nodiscard]] bool take_back() override;

 private:
  Qcow2Medium(std::unique_ptr<File> file, const std::string& name, const qcow2::Header& header,
              std::unique_ptr<Medium> backing);
  Result<> load(const std::string& name);
  IoResult<> load_tables();

  // The lock is held, shared at least.
  IoResult<> read_pieces(uint64_t offset, std::span<const iovec> into);
  IoResult<> read_extent(const qcow2::Extent& extent, uint64_t offset, std::span<const iovec> into);
  IoResult<> read_backing(uint64_t offset, std::span<const iovec> into);
  /// Writes where clusters are there and nobody shares them; how many bytes from the start on that were.
  IoResult<uint64_t> write_in_place(uint64_t offset, std::span<const iovec> from);

  // The lock is held alone.
  IoResult<uint64_t> write_new(uint64_t offset, std::span<const iovec> from);
  IoResult<> fill_clusters(uint64_t offset, std::span<const iovec> from, uint64_t host, uint64_t clusters);
  enum class Clearing : uint8_t { kDiscard, kZeroAndUnmap, kZeroInPlace };
  IoResult<uint64_t> clear_clusters(uint64_t offset, uint64_t clusters, Clearing how);
  IoResult<> free_entry(uint64_t entry);
  IoResult<> sync();
  IoResult<> sync_if_crowded();

  [[nodiscard]] bool can_clear(Clearing how) const;
  IoResult<> clear_range(uint64_t offset, uint64_t length, Clearing how);
  IoResult<> write_zero_bytes(uint64_t offset, uint64_t length);
  [[nodiscard]] bool may_write() const { return ours_ && !file_->read_only() && !health_.corrupt(); }

  const std::unique_ptr<File> file_;
  const qcow2::Header header_;
  const std::unique_ptr<Medium> backing_;
  qcow2::Places places_;
  qcow2::Health health_;
  qcow2::Refcounts refcounts_;
  qcow2::Mapping mapping_;
  qcow2::Compressed compressed_;
  FairLock lock_;
  bool ours_ = true;  ///< not between let_go() and take_back()
};

}  // namespace eidolon::backend::image
