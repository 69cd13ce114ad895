// The commands of a disk that ask about it or set it (SPC-4, chapters 6 and 7; SBC-3, 5.12, 5.13, 6.4, 6.5).
#include <utility>

#include "device/storage/scsi_disk.h"
#include "device/storage/scsi_operations.h"

namespace eidolon::device::storage::scsi {

namespace {

constexpr std::string_view kVendor = "Eidolon", kProduct = "Virtual disk", kRevision = "1.0";
constexpr uint64_t kGranularity = 8;  ///< blocks that are forgotten together

constexpr uint8_t kRecoveryPage = 0x01, kCachingPage = 0x08, kControlPage = 0x0a, kAllPages = 0x3f;
constexpr uint8_t kWriteCache = 0x04;  // of the caching page

constexpr size_t kShortHeader = 4, kLongHeader = 8, kBlockDescriptor = 8;

/// With its number and length in front.
void append_page(std::vector<uint8_t>& bytes, uint8_t page, size_t length, auto fill) {
  const size_t at = bytes.size();
  bytes.resize(at + 2 + length);
  bytes[at] = page;
  bytes[at + 1] = static_cast<uint8_t>(length);
  fill(std::span(bytes).subspan(at, 2 + length));
}

}  // namespace

Answer Disk::request_sense(const Request& request) {
  if ((request.cdb[1] & 1) != 0) return failed(kInvalidField);  // the descriptor format
  return answer(request, fixed_format(take_attention()), request.cdb[4]);
}

Answer Disk::inquiry(const Request& request) const {
  const Cdb& cdb = request.cdb;
  const uint64_t allocated = field(cdb, 3, 2);
  if ((cdb[1] & 1) != 0) {
    const std::optional<std::vector<uint8_t>> page = product_data(cdb[2]);
    return page ? answer(request, *page, allocated) : failed(kInvalidField);
  }
  if (cdb[2] != 0) return failed(kInvalidField);
  std::vector<uint8_t> bytes(66);
  bytes[2] = 0x06;  // SPC-4
  bytes[3] = 0x12;  // the format of today, and addresses of units with levels
  bytes[4] = static_cast<uint8_t>(bytes.size() - 5);
  bytes[7] = 0x02;  // several commands at once
  const std::span<uint8_t> all(bytes);
  put_text(all.subspan(8, 8), kVendor);
  put_text(all.subspan(16, 16), kProduct);
  put_text(all.subspan(32, 4), kRevision);
  put_big(all.subspan(58, 2), 0x00a0);  // SAM-5
  put_big(all.subspan(60, 2), 0x0460);  // SPC-4
  put_big(all.subspan(62, 2), 0x04c0);  // SBC-3
  return answer(request, bytes, allocated);
}

/// The vital product data pages (SPC-4, 7.8; SBC-3, 6.5).
std::optional<std::vector<uint8_t>> Disk::product_data(uint8_t page) const {
  std::vector<uint8_t> bytes = {0, page, 0, 0};
  switch (page) {
    case 0x00:  // which there are
      bytes.insert(bytes.end(), {0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2});
      break;
    case 0x80:  // the serial number
      bytes.insert(bytes.end(), serial_.begin(), serial_.end());
      break;
    case 0x83: {  // one name, of vendor and number, in ASCII
      const size_t length = 8 + serial_.size();
      bytes.insert(bytes.end(), {0x02, 0x01, 0, static_cast<uint8_t>(length)});
      bytes.resize(bytes.size() + 8);
      put_text(std::span(bytes).last(8), kVendor);
      bytes.insert(bytes.end(), serial_.begin(), serial_.end());
      break;
    }
    case 0xb0: {  // limits
      bytes.resize(64);
      const std::span<uint8_t> all(bytes);
      bytes[4] = 0x01;  // WRITE SAME of no blocks is not all of them
      put_big(all.subspan(8, 4), kMostTransfer);
      put_big(all.subspan(20, 4), kMostUnmap);
      put_big(all.subspan(24, 4), kMostUnmapRanges);
      put_big(all.subspan(28, 4), kGranularity);
      put_big(all.subspan(36, 8), kMostSame);
      break;
    }
    case 0xb1:  // no part of it turns
      bytes.resize(64);
      put_big(std::span(bytes).subspan(4, 2), 1);
      break;
    case 0xb2:  // UNMAP, and WRITE SAME that may unmap; what was unmapped reads as anything
      bytes.insert(bytes.end(), {0, medium_.read_only() ? uint8_t{0} : uint8_t{0xe0}, 0x02, 0});
      break;
    default:
      return std::nullopt;
  }
  put_big(std::span(bytes).subspan(2, 2), bytes.size() - 4);
  return bytes;
}

Answer Disk::read_capacity(const Request& request) const {
  if (blocks() == 0) return failed({kNotReady, 0x3a, 0});  // no medium
  std::vector<uint8_t> bytes;
  append_big(bytes, 4, std::min<uint64_t>(blocks() - 1, 0xffffffff));
  append_big(bytes, 4, kBlock);
  return answer(request, bytes, bytes.size());
}

Answer Disk::read_capacity_16(const Request& request) const {
  if (blocks() == 0) return failed({kNotReady, 0x3a, 0});
  std::vector<uint8_t> bytes;
  append_big(bytes, 8, blocks() - 1);
  append_big(bytes, 4, kBlock);
  bytes.resize(32);
  if (!medium_.read_only()) bytes[14] = 0x80;  // blocks can be unmapped
  return answer(request, bytes, field(request.cdb, 10, 4));
}

/// Empty: there is no such page.
std::vector<uint8_t> Disk::mode_pages(uint8_t page, bool changeable, bool by_default) const {
  const bool all = page == kAllPages;
  std::vector<uint8_t> bytes;
  if (all || page == kRecoveryPage) append_page(bytes, kRecoveryPage, 10, [](auto) {});
  if (all || page == kCachingPage) {
    append_page(bytes, kCachingPage, 18, [&](std::span<uint8_t> at) {
      if (changeable || by_default || write_cache_) at[2] = kWriteCache;
    });
  }
  if (all || page == kControlPage) {
    append_page(bytes, kControlPage, 10, [&](std::span<uint8_t> at) {
      if (!changeable) at[3] = 0x10;  // commands come to their end in any order
    });
  }
  return bytes;
}

Answer Disk::mode_sense(const Request& request) const {
  constexpr uint8_t kNoDescriptors = 0x08, kProtected = 0x80, kCanForceAccess = 0x10;
  const Cdb& cdb = request.cdb;
  const bool long_form = cdb[0] == kModeSense10;
  const unsigned which = cdb[2] >> 6;  // now, what can be changed, at first, saved
  if (which == 3) return failed(kNoSavedValues);
  const std::vector<uint8_t> pages = mode_pages(cdb[2] & 0x3f, which == 1, which == 2);
  if (pages.empty() || (cdb[3] != 0 && cdb[3] != 0xff)) return failed(kInvalidField);
  const bool descriptor = (cdb[1] & kNoDescriptors) == 0;
  std::vector<uint8_t> bytes(long_form ? kLongHeader : kShortHeader);
  bytes[long_form ? 3 : 2] = static_cast<uint8_t>((medium_.read_only() ? kProtected : 0) | kCanForceAccess);
  bytes[long_form ? 7 : 3] = descriptor ? kBlockDescriptor : 0;
  if (descriptor) {
    append_big(bytes, 4, std::min<uint64_t>(blocks(), 0xffffffff));
    append_big(bytes, 4, kBlock);
  }
  bytes.insert(bytes.end(), pages.begin(), pages.end());
  if (long_form) {
    put_big(std::span(bytes).first(2), bytes.size() - 2);
  } else {
    bytes[0] = static_cast<uint8_t>(bytes.size() - 1);
  }
  return answer(request, bytes, long_form ? field(cdb, 7, 2) : cdb[4]);
}

Answer Disk::mode_select(const Request& request) {
  constexpr uint8_t kPageFormat = 0x10, kSavePages = 0x01;
  const Cdb& cdb = request.cdb;
  const bool long_form = cdb[0] == kModeSelect10;
  const uint64_t length = long_form ? field(cdb, 7, 2) : cdb[4];
  const uint64_t header = long_form ? kLongHeader : kShortHeader;
  if ((cdb[1] & kPageFormat) == 0 || (cdb[1] & kSavePages) != 0) return failed(kInvalidField);
  if (length == 0) return {};
  if (request.sent() < length) return {.overrun = true};
  std::vector<uint8_t> bytes(length);
  gather(request.from_guest, bytes);
  if (length < header) return failed(kParametersTooShort);
  const uint64_t descriptors = long_form ? get_big(std::span(bytes).subspan(6, 2)) : bytes[3];
  if (descriptors > length - header) return failed(kParametersTooShort);
  if (descriptors != 0) {
    if (descriptors != kBlockDescriptor) return failed(kInvalidParameter);
    if (get_big(std::span(bytes).subspan(header + 5, 3)) != kBlock) return failed(kInvalidParameter);
  }
  const Sense sense = select_pages(std::span(bytes).subspan(header + descriptors));
  return {.sense = sense, .moved = length};
}

/// Every page must be as it is, but for whether there is a write cache.
Sense Disk::select_pages(std::span<const uint8_t> pages) {
  std::optional<bool> cache;
  while (!pages.empty()) {
    const uint8_t page = pages[0] & 0x3f;
    std::vector<uint8_t> wanted = page == kAllPages ? std::vector<uint8_t>() : mode_pages(page, false, false);
    if (wanted.empty() || pages[0] != page) return kInvalidParameter;
    if (pages.size() < wanted.size()) return kParametersTooShort;
    if (page == kCachingPage) {
      cache = (pages[2] & kWriteCache) != 0;
      wanted[2] = *cache ? kWriteCache : 0;
    }
    if (!std::ranges::equal(wanted, pages.first(wanted.size()))) return kInvalidParameter;
    pages = pages.subspan(wanted.size());
  }
  if (!cache) return {};
  write_cache_ = *cache;
  // What is in the cache is out of it before the guest believes that there is none.
  return *cache || medium_.read_only() ? Sense{} : sense_of(medium_.flush());
}

}  // namespace eidolon::device::storage::scsi
