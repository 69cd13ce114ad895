// The driver's side of a split virtqueue (virtio 1.2, 2.7), in memory that is shared with a back end: the
// monitor's own, not the guest's. The back end is believed nothing: which descriptors are whose is known here
// and not read from there.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace eidolon::vhost {

class SharedRing {
 public:
  /// For the longest buffer that a guest can have (device::virtio::Chain::kMaxSegments).
  static constexpr uint16_t kSize = 1024;

  /// What is where in its memory.
  static constexpr size_t kDescriptors = 0, kAvailable = size_t{16} * kSize, kUsed = kAvailable + 4096,
                          kBytes = kUsed + 3 * size_t{4096};

  struct Piece {
    uint64_t address;  ///< as the memory table has it
    uint32_t length;
    bool written;
  };
  struct Used {
    uint16_t head;
    uint32_t length;
  };
  enum class Take : uint8_t { kUsed, kNone, kBroken };

  /// `memory` has kBytes, zeroed, and outlives it.
  explicit SharedRing(std::span<uint8_t> memory);

  /// The number that the buffer comes back with; nothing: there is no room now.
  [[nodiscard]] std::optional<uint16_t> add(std::span<const Piece> pieces);
  /// Whether the back end wants to be told of what was added.
  [[nodiscard]] bool kick_wanted() const;
  /// The next buffer that came back. Broken: the back end says what cannot be.
  [[nodiscard]] Take take(Used& used);
  [[nodiscard]] unsigned under_way() const { return under_way_; }

 private:
  struct Descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags;
    uint16_t next;
  };
  [[nodiscard]] uint16_t* word(size_t offset) const;

  const std::span<uint8_t> memory_;
  std::vector<uint16_t> free_;                 ///< descriptors
  std::vector<std::vector<uint16_t>> chains_;  ///< by heads; empty: not under way
  uint16_t available_ = 0, used_ = 0;
  unsigned under_way_ = 0;
};

}  // namespace eidolon::vhost
