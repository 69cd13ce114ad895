// The DMA requests of fw_cfg. A request lies in guest memory, big-endian: 32 bits of control, a length, and
// the address of the data. Written back: control is zero when it is done, or the error bit.
#include <algorithm>
#include <bit>

#include "device/chipset/fw_cfg.h"
#include "x86/paging.h"

namespace eidolon::device {

namespace {

enum Control : uint32_t { kError = 1, kRead = 2, kSkip = 4, kSelect = 8, kWrite = 16 };

struct Request {
  uint32_t control, length;
  uint64_t address;
};
static_assert(sizeof(Request) == 16);

constexpr uint64_t kDmaSignature = 0x51454d5520434647;  ///< "QEMU CFG"

}  // namespace

/// The register reads as a signature: DMA is there.
uint64_t FwCfg::dma_read(uint64_t offset, unsigned size) {
  uint64_t value = 0;
  for (unsigned i = 0; i < size && offset + i < kDmaPorts; ++i)
    value |= (kDmaSignature >> (56 - 8 * (offset + i)) & 0xff) << (8 * i);
  return value;
}

void FwCfg::dma_write(uint64_t offset, unsigned size, uint64_t value) {
  uint64_t address = 0;
  {
    const Lock lock(mutex_);
    if (size == 4 && offset == 0) request_high_ = std::byteswap(static_cast<uint32_t>(value));
    if (size != 4 || offset != 4) return;
    address = uint64_t{request_high_} << 32 | std::byteswap(static_cast<uint32_t>(value));
    request_high_ = 0;
  }
  run_request(address);
}

/// No file can be written.
void FwCfg::run_request(uint64_t address) {
  Request request{};
  if (!dma_.read(address, &request, sizeof request)) return;
  const uint32_t control = std::byteswap(request.control), length = std::byteswap(request.length);
  const bool reads = (control & kRead) != 0, writes = !reads && (control & kWrite) != 0;
  Bytes bytes;
  {
    Lock lock(mutex_);
    if ((control & kSelect) != 0) select(static_cast<uint16_t>(control >> 16), lock);
    if (reads || (!writes && (control & kSkip) != 0)) bytes = take(length);
  }
  const bool done = reads ? put(std::byteswap(request.address), bytes, length) : !writes;
  const uint32_t result = done ? 0 : std::byteswap(uint32_t{kError});
  (void)dma_.write(address, &result, sizeof result);  // the guest's loss if this is no RAM
}

/// `length` bytes, zeros where there are no more. Page by page, as neighbouring pages need not be neighbours
/// in the map.
bool FwCfg::put(uint64_t address, std::span<const uint8_t> bytes, uint64_t length) {
  std::array<uint8_t, x86::kPageSize> page;
  while (length > 0) {
    const uint64_t part = std::min(length, x86::kPageSize - (address & x86::kPageMask));
    const uint64_t given = std::min<uint64_t>(part, bytes.size());
    std::ranges::copy(bytes.first(given), page.begin());
    std::fill(page.begin() + static_cast<std::ptrdiff_t>(given),
              page.begin() + static_cast<std::ptrdiff_t>(part), uint8_t{0});
    if (!dma_.write(address, page.data(), part)) return false;
    bytes = bytes.subspan(given);
    address += part;
    length -= part;
  }
  return true;
}

}  // namespace eidolon::device
