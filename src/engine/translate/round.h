// What one round of the translator did, told so that another engine can be made to do the same.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "engine/engine.h"

namespace eidolon::engine::translate {

/// In this order: events were serviced; generated code ran (a part of) one block; one instruction was
/// stepped.
struct Round {
  std::optional<Stop> stop;  ///< the engine must return; nothing after the servicing was done
  bool serviced = false;     ///< service_events was called

  bool ran_block = false;
  uint64_t begin = 0;      ///< linear address of the block
  uint32_t length = 0;     ///< its guest bytes
  uint64_t left_at = 0;    ///< linear address of the last instruction that the generated code came to
  bool completed = false;  ///< it has been executed too; else only those before it
  uint32_t flags_exact =
      x86::kFlagsArithmetic;           ///< arithmetic flags that are the processor's where the code left
  std::span<const uint8_t> host_code;  ///< of the block, up to the next round

  uint64_t rflags_left = 0;  ///< State::rflags where the code left

  bool stepped = false;
  uint64_t stepped_at = 0;  ///< State::rip before it
  uint32_t flags_exact_after =
      x86::kFlagsArithmetic;  ///< arithmetic flags that are the processor's at the end of the round
};

}  // namespace eidolon::engine::translate
