// Behind which port of a switch a card was last heard (IEEE 802.1D, 7.9).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>

namespace eidolon::backend {

class MacTable {
 public:
  using Port = uint64_t;
  using Time = std::chrono::steady_clock::time_point;
  static constexpr size_t kMost = 4096;  ///< cards
  static constexpr std::chrono::seconds kForgottenAfter{300};

  // `address` has six bytes.
  /// A full table forgets everything: whoever still talks is soon back in it.
  void learn(std::span<const uint8_t> address, Port port, Time now);
  [[nodiscard]] std::optional<Port> find(std::span<const uint8_t> address, Time now) const;
  void forget(Port port);

 private:
  struct Entry {
    Port port;
    Time heard;
  };
  std::unordered_map<uint64_t, Entry> entries_;
};

}  // namespace eidolon::backend
