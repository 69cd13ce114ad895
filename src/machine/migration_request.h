// What a machine is asked when it is to move to another process, and how far it is.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "migration/place.h"

namespace eidolon::machine {

struct MigrationRequest {
  migration::Place to;
  std::string tls;  ///< a folder with certificates (migration/tls.h); empty: plain
  /// How long the guest may stand at the end, as far as that can be foreseen.
  std::chrono::milliseconds down_time{300};
  /// A guest that writes faster than its memory can be sent goes on over there, and what is missing follows.
  bool post_copy = false;
  unsigned most_rounds = kUnlimited;  ///< of post_copy: after so many it goes on there in any case
  static constexpr unsigned kUnlimited = ~0u;
  bool copy_disks = false;  ///< those that the other side cannot reach, to images that are there already
  bool converge =
      true;  ///< a guest that writes faster than its memory can be sent is slowed down (not with post_copy)
};

struct MigrationProgress {
  enum class State : uint8_t { kMoving, kDone, kFailed } state = State::kMoving;
  std::string error;          ///< of kFailed
  uint64_t memory_bytes = 0;  ///< of the guest
  uint64_t disk_bytes = 0;    ///< of disks that were sent
  uint64_t sent_bytes = 0;    ///< of memory, so far
  uint64_t left_bytes = 0;    ///< to be sent, by what is known now
  unsigned rounds = 0;
  bool there = false;           ///< it runs there already, and the rest of its memory follows
  uint64_t followed_bytes = 0;  ///< that were missing when it went on
  uint64_t waits = 0;           ///< how often it waited for one of those pages
  unsigned slowed_percent = 0;
  double seconds = 0;       ///< since the beginning, or in all
  double down_seconds = 0;  ///< that the guest has stood, until it ran over there
};

}  // namespace eidolon::machine
