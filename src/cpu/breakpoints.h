// Where a debugger outside the guest wants processors to stop: before the instruction at a linear address.
// They are the monitor's own, beside the guest's debug registers: no byte of the guest's changes, and it
// raises no exception.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace eidolon::cpu {

class Breakpoints {
 public:
  // While no processor runs.
  void add(uint64_t linear) {
    if (has(linear)) return;
    addresses_.insert(std::ranges::lower_bound(addresses_, linear), linear);
    ++changes_;
  }
  void remove(uint64_t linear) { changes_ += std::erase(addresses_, linear); }

  [[nodiscard]] bool has(uint64_t linear) const { return std::ranges::binary_search(addresses_, linear); }
  [[nodiscard]] bool any_in(uint64_t first, uint64_t length) const {
    const auto at = std::ranges::lower_bound(addresses_, first);
    return at != addresses_.end() && *at - first < length;
  }
  /// Sorted.
  [[nodiscard]] std::span<const uint64_t> addresses() const { return addresses_; }
  /// How often they have changed, for engines that put them somewhere.
  [[nodiscard]] uint64_t changes() const { return changes_; }

 private:
  std::vector<uint64_t> addresses_;
  uint64_t changes_ = 0;
};

}  // namespace eidolon::cpu
