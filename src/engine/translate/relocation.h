// What in a block's code depends on where the code is and on the linear address of the guest's bytes: what has
// to be changed when the same bytes at another address get a copy of the code (builder_copy.cpp).
#pragma once

#include <cstdint>

namespace eidolon::engine::translate {

struct Relocation {
  enum class Kind : uint8_t {
    kJump,           ///< rel32
    kSite,           ///< 32 bits: the index of a site of the block
    kReturnSite,     ///< 32 bits: such an index, in the upper 24 (builder_returns.cpp)
    kAddress,        ///< 64 bits: a linear address at a fixed distance from the block's
    kNegatedAddress,
    kPageSlot,       ///< 32 bits: where Frame::page_ids has the page
    kPageId,         ///< 32 bits: Block::page_id
    kNegatedPageId,
  };
  uint32_t at : 28;  ///< offset in the code cache
  uint32_t kind_bits : 4;

  Relocation(uint32_t offset, Kind kind)
      : at(offset & (kMostBytes - 1)), kind_bits(static_cast<unsigned>(kind) & 0xf) {}
  [[nodiscard]] Kind kind() const { return static_cast<Kind>(kind_bits); }
  /// Of a code cache.
  static constexpr uint32_t kMostBytes = 1u << 28;
};
static_assert(sizeof(Relocation) == 4);

}  // namespace eidolon::engine::translate
