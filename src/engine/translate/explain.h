// A block laid open: the guest's instructions beside the host code made of them, for `eidolon explain`.
//
// BlockCopy holds all that there is to say about one block, so that it can be printed when the machine is
// gone. Explainer is the observer that waits for a block at an address and copies it.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/translate/observer.h"

namespace eidolon::engine::translate {

/// A word, or a table, of the per-processor area that generated code reaches through GS.
struct AreaName {
  uint32_t begin = 0, end = 0;  ///< displacements from the GS base
  std::string name;
};

struct BlockCopy {
  struct Instruction {
    uint16_t offset = 0;  ///< from the start of the block
    std::vector<uint8_t> bytes;
    bool step = false;
    uint32_t flags_live_out = 0;
  };
  uint64_t rip = 0, physical = 0;
  uint64_t second_page = Block::kNoPage;  ///< as of the block
  Mode mode;
  uint16_t length = 0;
  uint32_t begin = 0;  ///< of the host code, offset in the cache
  uint32_t entry_checked = 0, entry_events = 0, entry_body = 0;
  std::vector<uint8_t> code;  ///< from `begin` on
  uint32_t cold_begin = 0;    ///< of the code that hardly ever runs
  std::vector<uint8_t> cold;  ///< from `cold_begin` on
  std::vector<Instruction> instructions;
  std::vector<Placed> placed;
  std::vector<Site> sites;  ///< their pointers are not to be followed
  uint32_t first_site = 0;
  std::vector<AreaName> names;
  uint32_t site_word = 0;  ///< displacement of Frame::site
};

[[nodiscard]] BlockCopy copy_of(const MadeBlock& made);

/// Addresses to names: what follows an address in the listing, e.g. " <schedule+0x10>", or nothing.
using Symbolizer = std::function<std::string(uint64_t)>;
/// The listing; the instruction at `marked` has an arrow.
[[nodiscard]] std::string listing(const BlockCopy& block, uint64_t marked, const Symbolizer& symbol);

class Explainer final : public BlockObserver {
 public:
  /// `found` is called on the processor's thread for each block made that covers `address`.
  Explainer(uint64_t address, std::function<void()> found) : address_(address), found_(std::move(found)) {}

  void made(const MadeBlock& made) override;
  void emptied(uint64_t, uint32_t) override {}

  /// The block that was made last of those that cover the address. From any thread.
  [[nodiscard]] std::optional<BlockCopy> block() const;
  struct Progress {
    uint64_t blocks, rip;
  };
  /// How many blocks have been made, and where the last of them begins. From any thread.
  [[nodiscard]] Progress progress() const { return {blocks_.load(), rip_.load()}; }

 private:
  const uint64_t address_;
  const std::function<void()> found_;
  std::atomic<uint64_t> blocks_{0}, rip_{0};
  mutable std::mutex mutex_;
  std::optional<BlockCopy> block_;  ///< under mutex_
};

}  // namespace eidolon::engine::translate
