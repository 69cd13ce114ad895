// Who looks at blocks as they are made: the map for Linux perf (perf_map.h) and `eidolon explain`
// (explain.h). Called on the processor's thread, once a block, never while generated code runs.
#pragma once

#include <cstdint>
#include <span>

#include "engine/translate/analysis.h"
#include "engine/translate/block.h"

namespace eidolon::engine::translate {

class Layout;

/// Where the host code of one guest instruction begins, and what the builder had put aside by then.
struct Placed {
  uint32_t host;     ///< offset in the code cache
  uint16_t in_slot;  ///< bit n: guest register n is in State::gpr only
  bool flags_saved;  ///< the guest's flags are in Frame::saved_flags
};

/// A block that has just been made. All of it holds only during the call.
struct MadeBlock {
  const Block& block;
  const Analysis& analysis;
  /// One an instruction, then where the way to the next block begins (if the last instruction is no jump),
  /// then where its end is.
  std::span<const Placed> placed;
  std::span<const Site> sites;  ///< of the block
  const Layout& layout;
  uint64_t cache_address;          ///< host address of offset 0
  std::span<const uint8_t> cache;  ///< bytes from offset 0
};

class BlockObserver {
 public:
  virtual ~BlockObserver() = default;
  /// The code has to lie in memory that Linux calls anonymous.
  [[nodiscard]] virtual bool wants_anonymous_code() const { return false; }
  virtual void made(const MadeBlock& made) = 0;
  /// Whether blocks may be copies of others, of which nothing is known but where they are: copied() tells of them.
  [[nodiscard]] virtual bool takes_copies() const { return false; }
  /// `cache_address`: host address of offset 0.
  virtual void copied(const Block& /*block*/, uint64_t /*cache_address*/) {}
  /// A block has got another way in: host code of `size` bytes at `address`.
  virtual void extended(const Block& /*block*/, uint64_t /*address*/, uint32_t /*size*/) {}
  /// No block is left, and addresses will be used again. `cache_address` and `used`: the host code that
  /// stays, which enters and leaves blocks.
  virtual void emptied(uint64_t cache_address, uint32_t used) = 0;
};

}  // namespace eidolon::engine::translate
