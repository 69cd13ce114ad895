#include "engine/step/fetch.h"

#include <algorithm>
#include <cstring>

namespace eidolon::engine::step {

using cpu::Outcome;
using isa::DecodeStatus;

namespace {

constexpr unsigned kWindow = 16;
constexpr unsigned kMaxLength = isa::kMaxInstructionLength;

std::unexpected<cpu::Fault> undecodable(DecodeStatus status) {
  return status == DecodeStatus::kTooLong ? cpu::raise_gp() : cpu::raise_ud();
}

}  // namespace

const uint8_t* Fetcher::fill(uint64_t linear, uint64_t tag, Page& page) {
  const bool user = tag & 1;
  const auto resolved = cpu_.mmu.resolve(cpu_.state.control, linear, mmu::Access::kExecute,
                                         user ? mmu::View::kUser : mmu::View::kSupervisor);
  if (!resolved || resolved->host == nullptr) return nullptr;
  page = {tag, cpu_.mmu.generation(), resolved->host - (linear & (x86::kPageSize - 1))};
  return page.host;
}

/// Host address of the page of code, or null if there is a fault or it is not memory: the slow way says
/// which.
inline const uint8_t* Fetcher::page_at(uint64_t linear) {
  const uint64_t tag = (linear & ~uint64_t{0xfff}) | (cpu_.state.cpl() == 3 ? 1 : 0);
  Page& page = pages_[linear >> x86::kPageShift & (kPages - 1)];
  if (page.tag == tag && page.generation == cpu_.mmu.generation()) [[likely]]
    return page.host;
  return fill(linear, tag, page);
}

Outcome<const Operation*> Fetcher::fetch(isa::CodeSize size) {
  const cpu::State& state = cpu_.state;
  uint64_t linear = state.rip;
  unsigned room = kMaxLength;  // bytes up to the end of the segment
  if (size == isa::CodeSize::k64) {
    if (!cpu::is_canonical(linear)) return cpu::raise_gp();
  } else {
    const cpu::SegmentRegister& cs = state.segment[x86::kCs];
    if (state.rip > cs.limit) return cpu::raise_gp();
    room = static_cast<unsigned>(std::min<uint64_t>(kMaxLength, cs.limit - state.rip + 1));
    linear = (cs.base + state.rip) & (state.long_mode() ? ~uint64_t{0} : 0xffffffff);
    linear &= 0xffffffff;
  }

  const uint8_t* page = page_at(linear);
  if (page == nullptr) [[unlikely]]
    return fetch_slowly(linear, room, nullptr, size);
  const auto offset = static_cast<unsigned>(linear & (x86::kPageSize - 1));
  const uint8_t* host = page + offset;
  if (offset <= x86::kPageSize - kWindow) [[likely]] {
    if (const Operation* found = cache_.find(host, host, room, size)) return found;
  } else {
    const auto available = static_cast<unsigned>(x86::kPageSize - offset);
    std::array<uint8_t, kWindow> window{};
    std::memcpy(window.data(), host, available);
    if (const Operation* found = cache_.find(host, window.data(), std::min(room, available), size))
      return found;
  }
  return fetch_slowly(linear, room, host, size);
}

Outcome<const Operation*> Fetcher::fetch_slowly(uint64_t linear, unsigned room, const uint8_t* host,
                                                isa::CodeSize size) {
  std::array<uint8_t, kMaxLength> bytes{};
  const auto in_page = static_cast<unsigned>(x86::kPageSize - (linear & (x86::kPageSize - 1)));
  unsigned count = std::min(room, in_page);
  if (host != nullptr) {
    std::memcpy(bytes.data(), host, count);  // once: what is decoded is what was looked at
  } else {
    count = EIDOLON_TRY(cpu::fetch_linear(cpu_, linear, bytes.data(), count));
  }
  OperationCache::Found found = cache_.decode(host, std::span(bytes).first(count), size);
  if (found.status == DecodeStatus::kNeedMore) {
    // The instruction goes on, into the next page or beyond the segment.
    if (count == room) return cpu::raise_gp();
    count += EIDOLON_TRY(cpu::fetch_linear(cpu_, linear + count, bytes.data() + count, room - count));
    found = cache_.decode(nullptr, std::span(bytes).first(count), size);
  }
  if (found.status == DecodeStatus::kNeedMore) return cpu::raise_gp();
  if (found.status != DecodeStatus::kOk) return undecodable(found.status);
  return found.operation;
}

}  // namespace eidolon::engine::step
