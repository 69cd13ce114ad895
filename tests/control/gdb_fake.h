// A GDB session's target without a machine: two processors in real mode and a page of memory.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "control/gdb_target.h"

namespace eidolon::control {

class GdbFake final : public GdbTarget {
 public:
  static constexpr uint64_t kMemory = 0x1000;
  static constexpr size_t kBytes = 0x1000, kMostBreakpoints = 4;

  GdbFake() {
    for (cpu::State& one : state) one.reset();
  }

  [[nodiscard]] size_t processors() const override { return state.size(); }
  void hold() override { stands = true; }
  void go_on(const std::vector<Order>& given) override {
    orders = given;
    stands = false;
    stop.reset();
  }
  [[nodiscard]] std::optional<Stop> take_stop() override { return std::exchange(stop, std::nullopt); }
  [[nodiscard]] bool visit(size_t processor, const std::function<void(cpu::State&)>& visit) override {
    if (!gone) visit(state[processor]);
    return !gone;
  }
  [[nodiscard]] std::vector<uint8_t> read(size_t, uint64_t linear, size_t length) override {
    if (linear < kMemory || linear - kMemory >= kBytes) return {};
    const auto* begin = memory.data() + (linear - kMemory);
    return {begin, begin + std::min<size_t>(length, kBytes - (linear - kMemory))};
  }
  [[nodiscard]] bool write(size_t, uint64_t linear, std::span<const uint8_t> bytes) override {
    if (linear < kMemory || linear - kMemory >= kBytes || bytes.size() > kBytes - (linear - kMemory))
      return false;
    std::ranges::copy(bytes, memory.begin() + static_cast<ptrdiff_t>(linear - kMemory));
    return true;
  }
  Result<> add_breakpoint(uint64_t linear) override {
    if (breakpoints.size() == kMostBreakpoints) return fail("there are only {}", kMostBreakpoints);
    breakpoints.insert(linear);
    return {};
  }
  void remove_breakpoint(uint64_t linear) override { breakpoints.erase(linear); }
  void kill() override { killed = true; }
  void say(std::string_view sentence) override { said = sentence; }

  std::array<cpu::State, 2> state;
  std::array<uint8_t, kBytes> memory{};
  std::set<uint64_t> breakpoints;
  std::vector<Order> orders;
  std::optional<Stop> stop;
  bool stands = false, gone = false, killed = false;
  std::string said;
};

}  // namespace eidolon::control
