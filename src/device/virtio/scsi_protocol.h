// What a SCSI host device and its driver tell each other (virtio 1.2, 5.6).
#pragma once

#include <array>
#include <cstdint>

namespace eidolon::device::virtio {

/// A unit's address: 1, the target, and the unit's number in one of SAM-5's forms.
using ScsiAddress = std::array<uint8_t, 8>;

/// In front of the command and of what it sends.
struct [[gnu::packed]] ScsiCommandHeader {
  ScsiAddress address{};
  uint64_t tag = 0;
  uint8_t attribute = 0;  ///< every command is a simple one: they end in any order
  uint8_t priority = 0;
  uint8_t reference = 0;
};
static_assert(sizeof(ScsiCommandHeader) == 19);

enum class ScsiResponse : uint8_t {
  kOk = 0,  ///< of task management: what was asked for is so
  kOverrun = 1,
  kAborted = 2,
  kBadTarget = 3,
  kReset = 4,
  kFailure = 9,
  kSucceeded = 10,  ///< of a query: there is such a task
  kRejected = 11,
  kIncorrectUnit = 12,
};

/// In front of the sense data and of what the command receives.
struct [[gnu::packed]] ScsiCommandStatus {
  uint32_t sense_length = 0;
  uint32_t residual = 0;
  uint16_t qualifier = 0;
  uint8_t status = 0;
  ScsiResponse response = ScsiResponse::kOk;
};
static_assert(sizeof(ScsiCommandStatus) == 12);

enum class ScsiControl : uint32_t { kTaskManagement = 0, kQueryEvents = 1, kSubscribe = 2 };

enum class TaskFunction : uint32_t {
  kAbortTask = 0,
  kAbortTaskSet = 1,
  kClearAca = 2,
  kClearTaskSet = 3,
  kNexusReset = 4,
  kUnitReset = 5,
  kQueryTask = 6,
  kQueryTaskSet = 7,
};

struct [[gnu::packed]] TaskManagement {
  ScsiControl type = ScsiControl::kTaskManagement;
  TaskFunction function = TaskFunction::kAbortTask;
  ScsiAddress address{};
  uint64_t tag = 0;
};
static_assert(sizeof(TaskManagement) == 24);

struct [[gnu::packed]] EventQuery {
  ScsiControl type = ScsiControl::kQueryEvents;
  ScsiAddress address{};
  uint32_t events = 0;
};
static_assert(sizeof(EventQuery) == 16);

struct [[gnu::packed]] EventAnswer {
  uint32_t events = 0;
  ScsiResponse response = ScsiResponse::kOk;
};
static_assert(sizeof(EventAnswer) == 5);

struct [[gnu::packed]] ScsiConfig {
  static constexpr uint64_t kSenseBytesAt = 20, kCommandBytesAt = 24;
  uint32_t request_queues;
  uint32_t most_segments;
  uint32_t most_sectors;
  uint32_t commands_per_unit;
  uint32_t event_bytes = 16;
  uint32_t sense_bytes;
  uint32_t command_bytes;
  uint16_t last_channel = 0;
  uint16_t last_target = 0;
  uint32_t last_unit;
};
static_assert(sizeof(ScsiConfig) == 36);

}  // namespace eidolon::device::virtio
