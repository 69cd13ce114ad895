#include "device/storage/nvme_namespace.h"

#include <vector>

namespace eidolon::device::storage::nvme {

namespace {

constexpr uint32_t kForceUnitAccess = 1u << 30;     // CDW12 of reads and writes
constexpr uint32_t kDeallocate = 1u << 25;          // CDW12 of WRITE ZEROES
constexpr uint32_t kAttributeDeallocate = 1u << 2;  // CDW11 of DATASET MANAGEMENT

/// DATASET MANAGEMENT (6.7).
struct DatasetRange {
  uint32_t attributes;
  uint32_t blocks;
  uint64_t first;
};

uint64_t first_block(const Command& command) { return command.cdw(10) | uint64_t{command.cdw(11)} << 32; }
uint64_t block_count(const Command& command) { return uint64_t{command.cdw(12) & 0xffff} + 1; }

bool is_write(uint8_t opcode) {
  return opcode == kWrite || opcode == kWriteZeroes || opcode == kDatasetManagement;
}

bool is_known(uint8_t opcode) {
  return is_write(opcode) || opcode == kFlush || opcode == kRead || opcode == kCompare;
}

}  // namespace

Status Namespace::execute(const Command& command, Dma& dma, uint64_t page, bool write_through) {
  if (!is_known(command.opcode)) return Status::kInvalidOpcode;
  if ((command.flags & 3) != 0) return Status::kInvalidField;  // no fused operations
  if (command.opcode == kFlush && command.nsid == kEveryNamespace) return flush();
  if (command.nsid != kId) return Status::kInvalidNamespace;
  if (command.opcode == kFlush) return flush();
  if (is_write(command.opcode) && read_only()) return Status::kWriteProtected;
  if (command.opcode == kDatasetManagement) return dataset_management(command, dma, page);

  const std::optional<Range> where = range(first_block(command), block_count(command));
  if (!where) return Status::kLbaOutOfRange;
  switch (command.opcode) {
    case kRead:
      return read(command, *where, dma, page);
    case kCompare:
      return compare(command, *where, dma, page);
    default: {
      const Status status =
          command.opcode == kWrite ? write(command, *where, dma, page) : write_zeroes(command, *where);
      const bool through = write_through || (command.cdw(12) & kForceUnitAccess) != 0;
      return status == Status::kSuccess && through ? flush() : status;
    }
  }
}

std::optional<Namespace::Range> Namespace::range(uint64_t first, uint64_t count) const {
  if (first > blocks() || count > blocks() - first) return std::nullopt;
  return Range{first * kBlockBytes, count * kBlockBytes};
}

Status Namespace::result_of(IoStatus status, Status failure) {
  if (status == IoStatus::kDone) return Status::kSuccess;
  counters_.errors.fetch_add(1, std::memory_order_relaxed);
  return status == IoStatus::kNoSpace ? Status::kCapacityExceeded : failure;
}

Status Namespace::flush() { return result_of(medium_.flush(), Status::kWriteFault); }

Status Namespace::read(const Command& command, const Range& range, Dma& dma, uint64_t page) {
  Transfer transfer;
  std::vector<iovec> parts;
  Status status = transfer.describe(dma, command, range.length, page);
  if (status == Status::kSuccess) status = transfer.writable(dma, parts);
  if (status != Status::kSuccess) return status;
  counters_.read_commands.fetch_add(1, std::memory_order_relaxed);
  counters_.read_blocks.fetch_add(range.length / kBlockBytes, std::memory_order_relaxed);
  status = result_of(medium_.read(range.offset, parts), Status::kReadError);
  transfer.written(dma);
  return status;
}

Status Namespace::write(const Command& command, const Range& range, Dma& dma, uint64_t page) {
  Transfer transfer;
  std::vector<iovec> parts;
  Status status = transfer.describe(dma, command, range.length, page);
  if (status == Status::kSuccess) status = transfer.readable(dma, parts);
  if (status != Status::kSuccess) return status;
  counters_.write_commands.fetch_add(1, std::memory_order_relaxed);
  counters_.written_blocks.fetch_add(range.length / kBlockBytes, std::memory_order_relaxed);
  return result_of(medium_.write(range.offset, parts), Status::kWriteFault);
}

Status Namespace::compare(const Command& command, const Range& range, Dma& dma, uint64_t page) {
  Transfer transfer;
  Status status = transfer.describe(dma, command, range.length, page);
  if (status != Status::kSuccess) return status;
  std::vector<uint8_t> expected(range.length);
  status = transfer.get(dma, std::as_writable_bytes(std::span(expected)));
  if (status != Status::kSuccess) return status;
  std::vector<uint8_t> there(range.length);
  const iovec whole = {there.data(), there.size()};
  counters_.read_commands.fetch_add(1, std::memory_order_relaxed);
  status = result_of(medium_.read(range.offset, {&whole, 1}), Status::kReadError);
  if (status != Status::kSuccess) return status;
  return there == expected ? Status::kSuccess : Status::kCompareFailure;
}

Status Namespace::write_zeroes(const Command& command, const Range& range) {
  const bool may_unmap = (command.cdw(12) & kDeallocate) != 0;
  return result_of(medium_.write_zeroes(range.offset, range.length, may_unmap), Status::kWriteFault);
}

Status Namespace::dataset_management(const Command& command, Dma& dma, uint64_t page) {
  std::vector<DatasetRange> ranges((command.cdw(10) & 0xff) + 1);
  Transfer transfer;
  Status status = transfer.describe(dma, command, ranges.size() * sizeof(DatasetRange), page);
  if (status == Status::kSuccess) status = transfer.get(dma, std::as_writable_bytes(std::span(ranges)));
  if (status != Status::kSuccess) return status;
  for (const DatasetRange& entry : ranges)
    if (!range(entry.first, entry.blocks)) return Status::kLbaOutOfRange;
  if ((command.cdw(11) & kAttributeDeallocate) == 0) return Status::kSuccess;  // the others are hints
  for (const DatasetRange& entry : ranges) {
    if (entry.blocks == 0) continue;
    const uint64_t offset = entry.first * kBlockBytes, length = entry.blocks * kBlockBytes;
    status = result_of(medium_.discard(offset, length), Status::kWriteFault);
    if (status != Status::kSuccess) return status;
  }
  return Status::kSuccess;
}

}  // namespace eidolon::device::storage::nvme
