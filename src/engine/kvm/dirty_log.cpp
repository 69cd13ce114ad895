#include "engine/kvm/dirty_log.h"

#include <linux/kvm.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <span>

#include "base/try.h"

namespace eidolon::engine::kvm {

namespace {

constexpr uint64_t kWordPages = 64;

/// `words` are about the slot's pages from `first` on.
void tell(const memory::Region& region, uint64_t first, std::span<const uint64_t> words,
          const DirtySink& sink) {
  const uint64_t pages = std::min(words.size() * kWordPages, (region.length >> x86::kPageShift) - first);
  const auto dirty = [&](uint64_t page) { return (words[page / kWordPages] >> page % kWordPages & 1) != 0; };
  for (uint64_t page = 0; page < pages; ++page) {
    if (!dirty(page)) continue;
    const uint64_t begin = page;
    while (page < pages && dirty(page)) ++page;
    const uint64_t offset = (first + begin) << x86::kPageShift;
    sink({.address = region.base + offset,
          .host = region.host + offset,
          .length = (page - begin) << x86::kPageShift});
  }
}

Result<> failed(const memory::Region& region) {
  return fail("KVM does not tell which pages at {:#x} were written ({}); use --engine translate", region.base,
              std::strerror(errno));
}

}  // namespace

DirtyLog::DirtyLog(int vm) {
  kvm_enable_cap parts{};
  parts.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2;
  parts.args[0] = KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE;
  by_parts_ = ioctl(vm, KVM_CHECK_EXTENSION, parts.cap) > 0 && ioctl(vm, KVM_ENABLE_CAP, &parts) == 0;
}

Result<> DirtyLog::collect(int vm, uint32_t slot, const memory::Region& region, const DirtySink& sink) const {
  const uint64_t pages = region.length >> x86::kPageShift;
  std::vector<uint64_t> words((pages + kWordPages - 1) / kWordPages);
  kvm_dirty_log log{};
  log.slot = slot;
  log.dirty_bitmap = words.data();
  if (ioctl(vm, KVM_GET_DIRTY_LOG, &log) != 0) return failed(region);
  constexpr size_t kPart = 64;  // words: 16 MiB
  for (size_t at = 0; at < words.size(); at += kPart) {
    const std::span part = std::span(words).subspan(at, std::min(kPart, words.size() - at));
    if (std::ranges::all_of(part, [](uint64_t word) { return word == 0; })) continue;
    const uint64_t first = at * kWordPages;
    kvm_clear_dirty_log clear{};
    clear.slot = slot;
    clear.first_page = first;
    clear.num_pages = static_cast<uint32_t>(std::min(part.size() * kWordPages, pages - first));
    clear.dirty_bitmap = part.data();
    if (by_parts_ && ioctl(vm, KVM_CLEAR_DIRTY_LOG, &clear) != 0) return failed(region);
    tell(region, first, part, sink);
  }
  return {};
}

}  // namespace eidolon::engine::kvm
