// The one namespace of an NVMe controller, over a Medium, and its I/O commands (NVM Express 1.4, chapter 6).
// Called from several threads at a time, with no lock held.
#pragma once

#include <atomic>
#include <optional>

#include "device/storage/medium.h"
#include "device/storage/nvme_transfer.h"

namespace eidolon::device::storage::nvme {

class Namespace {
 public:
  static constexpr uint32_t kId = 1;
  static constexpr unsigned kBlockShift = 9;
  static constexpr uint64_t kBlockBytes = 1u << kBlockShift;

  /// What the SMART log counts, since the machine was switched on.
  struct Counters {
    std::atomic<uint64_t> read_commands{0}, write_commands{0}, read_blocks{0}, written_blocks{0}, errors{0};
  };

  explicit Namespace(Medium& medium) : medium_(medium) {}

  [[nodiscard]] uint64_t blocks() const { return medium_.size() / kBlockBytes; }
  [[nodiscard]] bool read_only() const { return medium_.read_only(); }
  [[nodiscard]] const Counters& counters() const { return counters_; }

  /// `page` is CC.MPS in bytes; `write_through`: the driver has switched the volatile write cache off.
  [[nodiscard]] Status execute(const Command& command, Dma& dma, uint64_t page, bool write_through);
  [[nodiscard]] Status flush();

 private:
  struct Range {
    uint64_t offset;
    uint64_t length;
  };
  /// The bytes that blocks are, if they are all there.
  [[nodiscard]] std::optional<Range> range(uint64_t first, uint64_t blocks) const;
  [[nodiscard]] Status read(const Command& command, const Range& range, Dma& dma, uint64_t page);
  [[nodiscard]] Status write(const Command& command, const Range& range, Dma& dma, uint64_t page);
  [[nodiscard]] Status compare(const Command& command, const Range& range, Dma& dma, uint64_t page);
  [[nodiscard]] Status write_zeroes(const Command& command, const Range& range);
  [[nodiscard]] Status dataset_management(const Command& command, Dma& dma, uint64_t page);
  [[nodiscard]] Status result_of(IoStatus status, Status failure);

  Medium& medium_;
  Counters counters_;
};

}  // namespace eidolon::device::storage::nvme
