#include "migration/pages.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/bits.h"
#include "base/try.h"
#include "migration/message.h"
#include "snapshot/zero_page.h"

namespace eidolon::migration {

using snapshot::kPageBytes;

namespace {
/// The machine's memory begins at such a boundary, and pages that lie alike in it are moved as they are.
constexpr uint64_t kHugePage = uint64_t{2} << 20;

void put(std::vector<uint8_t>& to, uint64_t number) {
  const auto at = to.size();
  to.resize(at + sizeof number);
  std::memcpy(to.data() + at, &number, sizeof number);
}
uint64_t number_at(Bytes bytes, uint64_t offset) {
  uint64_t number = 0;
  std::memcpy(&number, bytes.data() + offset, sizeof number);
  return number;
}
}  // namespace

Result<> PageSender::add(uint64_t page, Zeros zeros) {
  const Bytes bytes = memory_.subspan(page * kPageBytes, kPageBytes);
  if (snapshot::is_zero(bytes)) {
    if (zeros == Zeros::kLeaveOut) return {};
    entries_.push_back(page << 1 | 1);
  } else {
    entries_.push_back(page << 1);
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  return entries_.size() == kMostPages ? flush() : Result<>();
}

Result<> PageSender::flush() {
  if (entries_.empty()) return {};
  std::vector<uint8_t> payload;
  payload.reserve((1 + entries_.size()) * sizeof(uint64_t) + bytes_.size());
  put(payload, entries_.size());
  for (const uint64_t entry : entries_) put(payload, entry);
  payload.insert(payload.end(), bytes_.begin(), bytes_.end());
  entries_.clear();
  bytes_.clear();
  sent_ += payload.size();
  return send_message(to_, Kind::kPages, payload);
}

Result<> read_pages(Bytes payload, const MemoryLayout& layout,
                    const std::function<Result<>(uint64_t page, Bytes content)>& visit) {
  const auto wrong = [] { return fail("the other side sends pages that this machine does not have"); };
  const uint64_t count = payload.size() < sizeof(uint64_t) ? 0 : number_at(payload, 0);
  const uint64_t head = (1 + count) * sizeof(uint64_t);
  if (count == 0 || count > kMostPages || payload.size() < head) return wrong();
  uint64_t at = head;
  for (uint64_t i = 1; i <= count; ++i) {
    const uint64_t entry = number_at(payload, i * sizeof(uint64_t)), page = entry >> 1;
    if (!layout.has_page(page)) return wrong();
    const bool zeros = (entry & 1) != 0;
    if (!zeros && payload.size() - at < kPageBytes) return wrong();
    EIDOLON_TRY(visit(page, zeros ? Bytes() : payload.subspan(at, kPageBytes)));
    at += zeros ? 0 : kPageBytes;
  }
  return at == payload.size() ? Result<>() : Result<>(wrong());
}

Result<PageReceiver> PageReceiver::create(MemoryLayout layout) {
  const uint64_t mapped = align_up(layout.end(), kHugePage) + kHugePage;
  void* mapping =
      mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED)
    return fail("there is no room for the guest's {} MiB of memory ({})", layout.bytes() >> 20,
                strerror(errno));
  (void)madvise(mapping, mapped, MADV_HUGEPAGE);
  return PageReceiver(std::move(layout), static_cast<uint8_t*>(mapping), mapped);
}

PageReceiver::PageReceiver(PageReceiver&& other) noexcept
    : layout_(std::move(other.layout_)),
      mapping_(std::exchange(other.mapping_, nullptr)),
      mapped_(other.mapped_) {}

PageReceiver::~PageReceiver() {
  if (mapping_ != nullptr) munmap(mapping_, mapped_);
}

uint8_t* PageReceiver::begin() const {
  // SAFETY: a huge page more than the memory is mapped.
  return mapping_ + (-reinterpret_cast<uint64_t>(mapping_) & (kHugePage - 1));
}

Result<> PageReceiver::take(Bytes payload) {
  return read_pages(payload, layout_, [this](uint64_t page, Bytes content) -> Result<> {
    uint8_t* to = begin() + page * kPageBytes;  // SAFETY: the layout lies within the mapping
    if (!content.empty()) {
      std::memcpy(to, content.data(), kPageBytes);
    } else if (!snapshot::is_zero({to, kPageBytes})) {
      std::memset(to, 0, kPageBytes);  // what is zeros already is not touched: it may take no room yet
    }
    return {};
  });
}

Result<> PageReceiver::move_into(std::span<uint8_t> memory) {
  for (const Piece& piece : layout_.pieces) {
    if (piece.offset + piece.length > memory.size())
      return fail("the memory that has arrived is not laid out as this machine's");
    uint8_t* const from = begin() + piece.offset;
    uint8_t* const to = memory.data() + piece.offset;
    // SAFETY: replaces pages of the machine's memory by ours; fresh ones stay behind, so that the whole
    // mapping is still ours to give up.
    void* moved =
        mremap(from, piece.length, piece.length, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to);
    // Kernels before 5.7.
    if (moved == MAP_FAILED) std::memcpy(to, from, piece.length);
  }
  return {};
}

}  // namespace eidolon::migration
