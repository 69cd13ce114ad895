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
  std::lock_guard lock(mutex_);
  if (size == 4 && offset == 0) request_high_ = std::byteswap(static_cast<uint32_t>(value));
  if (size != 4 || offset != 4) return;
  const uint64_t address = uint64_t{request_high_} << 32 | std::byteswap(static_cast<uint32_t>(value));
  request_high_ = 0;
  run_request(address);
}

void FwCfg::run_request(uint64_t address) {
  Request request{};
  if (!memory_.read(address, &request, sizeof request)) return;
  const uint32_t control = std::byteswap(request.control);
  if ((control & kSelect) != 0) select(static_cast<uint16_t>(control >> 16));
  const bool done = transfer(control, std::byteswap(request.address), std::byteswap(request.length));
  const uint32_t result = done ? 0 : std::byteswap(uint32_t{kError});
  (void)memory_.write(address, &result, sizeof result);  // the guest's loss if this is no RAM
}

/// No file can be written.
bool FwCfg::transfer(uint32_t control, uint64_t address, uint32_t length) {
  if ((control & kRead) != 0) return read_into(address, length);
  if ((control & kWrite) != 0) return false;
  if ((control & kSkip) != 0)
    at_ = static_cast<uint32_t>(std::min<uint64_t>(uint64_t{at_} + length, selected_.size()));
  return true;
}

/// Page by page, as neighbouring pages need not be neighbours in the map. This is the processor's thread,
/// which may run what was loaded with its next instruction: the observer of code is told at once.
bool FwCfg::read_into(uint64_t address, uint64_t length) {
  std::array<uint8_t, x86::kPageSize> page;
  while (length > 0) {
    const uint64_t part = std::min(length, x86::kPageSize - (address & x86::kPageMask));
    const uint64_t from_item =
        std::min<uint64_t>(part, selected_.size() - std::min<uint64_t>(at_, selected_.size()));
    std::copy_n(selected_.begin() + at_, from_item, page.begin());
    std::fill(page.begin() + static_cast<std::ptrdiff_t>(from_item),
              page.begin() + static_cast<std::ptrdiff_t>(part), uint8_t{0});
    if (!memory_.write(address, page.data(), part)) return false;
    at_ += static_cast<uint32_t>(from_item);
    address += part;
    length -= part;
  }
  return true;
}

}  // namespace eidolon::device
