#include "device/storage/nvme_transfer.h"

#include <algorithm>

namespace eidolon::device::storage::nvme {

namespace {
constexpr uint64_t kEntryBytes = 8;
}

/// Pages that follow one another become one segment: fewer pieces for the host.
void Transfer::add(GuestPhysical address, uint64_t length) {
  if (!segments_.empty() && segments_.back().address + segments_.back().length == address) {
    segments_.back().length += length;
  } else {
    segments_.push_back({address, length});
  }
}

Status Transfer::describe(const Dma& dma, const Command& command, uint64_t length, uint64_t page) {
  segments_.clear();
  if (length == 0) return Status::kSuccess;
  if (length > kMostBytes || (command.flags >> 6) != 0) return Status::kInvalidField;  // no SGLs
  if ((command.prp1 & 3) != 0) return Status::kPrpOffsetInvalid;
  const uint64_t first = std::min(length, page - command.prp1 % page);
  add(command.prp1, first);
  length -= first;
  if (length == 0) return Status::kSuccess;
  if (length > page) return walk_list(dma, command.prp2, length, page);
  if (command.prp2 % page != 0) return Status::kPrpOffsetInvalid;
  add(command.prp2, length);
  return Status::kSuccess;
}

/// The last entry of a page of the list leads to the next page when more than one page of data is left. A
/// further page is used from its start, so each brings the end nearer, and a list that loops does no harm.
Status Transfer::walk_list(const Dma& dma, GuestPhysical list, uint64_t length, uint64_t page) {
  if (list % kEntryBytes != 0) return Status::kPrpOffsetInvalid;
  std::vector<uint64_t> entries;
  while (true) {
    const uint64_t wanted = (length + page - 1) / page;
    const uint64_t room = (page - list % page) / kEntryBytes;
    const bool goes_on = wanted > room;
    entries.resize(std::min(wanted, room));
    if (!dma.read(list, entries.data(), entries.size() * kEntryBytes)) return Status::kDataTransferError;
    const uint64_t next = entries.back();
    if (goes_on) entries.pop_back();
    for (const uint64_t entry : entries) {
      if (entry % page != 0) return Status::kPrpOffsetInvalid;
      const uint64_t part = std::min(length, page);
      add(entry, part);
      length -= part;
    }
    if (!goes_on) return Status::kSuccess;
    if (next % page != 0) return Status::kPrpOffsetInvalid;
    list = next;
  }
}

namespace {

/// The host's view of a segment. Neighbouring regions of RAM need not be neighbours in the host, so what is
/// not there as a whole is looked up page by page.
template <typename Lookup>
Status add_parts(GuestPhysical address, uint64_t length, std::vector<iovec>& parts, Lookup lookup) {
  constexpr uint64_t kSmallestPage = 4096;
  while (length != 0) {
    auto bytes = lookup(address, length);
    if (bytes.size() != length) {
      const uint64_t part = std::min(length, kSmallestPage - address % kSmallestPage);
      bytes = lookup(address, part);
      if (bytes.size() != part) return Status::kDataTransferError;
    }
    parts.push_back({const_cast<uint8_t*>(bytes.data()), bytes.size()});  // readable ones are only read
    address += bytes.size();
    length -= bytes.size();
  }
  return Status::kSuccess;
}

}  // namespace

Status Transfer::writable(const Dma& dma, std::vector<iovec>& parts) const {
  parts.clear();
  const auto lookup = [&dma](GuestPhysical at, uint64_t length) { return dma.writable(at, length); };
  for (const Segment& segment : segments_) {
    const Status status = add_parts(segment.address, segment.length, parts, lookup);
    if (status != Status::kSuccess) return status;
  }
  return Status::kSuccess;
}

Status Transfer::readable(const Dma& dma, std::vector<iovec>& parts) const {
  parts.clear();
  const auto lookup = [&dma](GuestPhysical at, uint64_t length) { return dma.readable(at, length); };
  for (const Segment& segment : segments_) {
    const Status status = add_parts(segment.address, segment.length, parts, lookup);
    if (status != Status::kSuccess) return status;
  }
  return Status::kSuccess;
}

void Transfer::written(Dma& dma) const {
  for (const Segment& segment : segments_) dma.written(segment.address, segment.length);
}

Status Transfer::put(Dma& dma, std::span<const std::byte> bytes) const {
  std::vector<iovec> parts;
  const Status status = writable(dma, parts);
  if (status != Status::kSuccess) return status;
  for (const iovec& part : parts) {
    std::memcpy(part.iov_base, bytes.data(), part.iov_len);
    bytes = bytes.subspan(part.iov_len);
  }
  written(dma);
  return Status::kSuccess;
}

Status Transfer::get(const Dma& dma, std::span<std::byte> bytes) const {
  std::vector<iovec> parts;
  const Status status = readable(dma, parts);
  if (status != Status::kSuccess) return status;
  for (const iovec& part : parts) {
    std::memcpy(bytes.data(), part.iov_base, part.iov_len);
    bytes = bytes.subspan(part.iov_len);
  }
  return Status::kSuccess;
}

}  // namespace eidolon::device::storage::nvme
