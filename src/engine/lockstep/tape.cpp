#include "engine/lockstep/tape.h"

#include <fmt/format.h>

#include <array>

namespace eidolon::engine::lockstep {

namespace {

constexpr std::array<const char*, 11> kNames = {
    "port read", "port write", "MMIO read", "MMIO write", "TSC reading", "interrupt acknowledge",
    "CR8 read",  "CR8 write",  "MSR read",  "MSR write",  "INIT"};

bool is_write(Entry::Kind kind) {
  switch (kind) {
    case Entry::Kind::kPortWrite:
    case Entry::Kind::kMmioWrite:
    case Entry::Kind::kSetTaskPriority:
    case Entry::Kind::kWriteMsr:
      return true;
    default:
      return false;
  }
}

}  // namespace

std::string describe(const Entry& entry) {
  return fmt::format("{} at {:#x}, size {}, value {:#x}", kNames[static_cast<size_t>(entry.kind)],
                     entry.address, entry.size, entry.value);
}

Entry Tape::replay(const Entry& asked) {
  if (finished()) {
    if (!parted_) parted_ = fmt::format("only step did: {}", describe(asked));
    return Entry{.kind = asked.kind};
  }
  const Entry& recorded = entries_[next_];
  const bool same = recorded.kind == asked.kind && recorded.address == asked.address &&
                    recorded.size == asked.size && (!is_write(asked.kind) || recorded.value == asked.value);
  if (!same) {
    if (!parted_)
      parted_ = fmt::format("translate did: {}\n  step did: {}", describe(recorded), describe(asked));
    return Entry{.kind = asked.kind};
  }
  ++next_;
  return recorded;
}

const Entry* Tape::peek(Entry::Kind kind) const {
  return !finished() && entries_[next_].kind == kind ? &entries_[next_] : nullptr;
}

}  // namespace eidolon::engine::lockstep
