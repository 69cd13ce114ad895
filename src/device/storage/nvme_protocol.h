// What an NVMe driver and a controller agree on: registers, commands, completions and status codes (NVM
// Express 1.4, chapters 3 to 6). Facts only.
#pragma once

#include <array>
#include <cstdint>

namespace eidolon::device::storage::nvme {

// Registers in BAR 0 (3.1).
inline constexpr uint64_t kCap = 0x00, kVersion = 0x08, kMaskSet = 0x0c, kMaskClear = 0x10, kConfig = 0x14,
                          kStatus = 0x1c, kAdminSizes = 0x24, kAdminSubmission = 0x28,
                          kAdminCompletion = 0x30, kRegistersEnd = 0x38, kDoorbells = 0x1000;

inline constexpr uint32_t kVersion14 = 0x00010400;

// kConfig: CC
inline constexpr uint32_t kConfigEnable = 1;
inline constexpr uint32_t kConfigBits = 0x00fffff1;  ///< what can be written

// kStatus: CSTS
inline constexpr uint32_t kStatusReady = 1, kStatusFatal = 2, kStatusShutdownOccurring = 1u << 2,
                          kStatusShutdownDone = 2u << 2, kStatusShutdown = 3u << 2;

inline constexpr unsigned kLargestPageShift = 4;  ///< CAP.MPSMAX: 64 KiB
inline constexpr uint32_t kMostEntries = 1024;    ///< of a queue
inline constexpr unsigned kIoQueues = 32;
inline constexpr unsigned kQueues = kIoQueues + 1;  ///< the administrator's is number 0
inline constexpr unsigned kTransferShift = 8;       ///< MDTS, in pages of 4 KiB
inline constexpr uint64_t kMostBytes = uint64_t{4096} << kTransferShift;
inline constexpr uint32_t kEveryNamespace = 0xffffffff;

/// A submission queue entry (4.2).
struct Command {
  uint8_t opcode = 0;
  uint8_t flags = 0;  ///< FUSE in bits 1:0, PSDT in bits 7:6
  uint16_t id = 0;
  uint32_t nsid = 0;
  uint64_t unused = 0;
  uint64_t metadata = 0;
  uint64_t prp1 = 0;
  uint64_t prp2 = 0;
  std::array<uint32_t, 6> words{};  ///< CDW10 to CDW15

  [[nodiscard]] uint32_t cdw(unsigned number) const { return words[number - 10]; }
};
static_assert(sizeof(Command) == 64);

/// A completion queue entry (4.6).
struct Completion {
  uint32_t result;
  uint32_t unused;
  uint16_t submission_head;
  uint16_t submission_queue;
  uint16_t command;
  uint16_t status;  ///< the phase tag is bit 0
};
static_assert(sizeof(Completion) == 16);

enum AdminOpcode : uint8_t {
  kDeleteSubmission = 0x00,
  kCreateSubmission = 0x01,
  kGetLogPage = 0x02,
  kDeleteCompletion = 0x04,
  kCreateCompletion = 0x05,
  kIdentify = 0x06,
  kAbort = 0x08,
  kSetFeatures = 0x09,
  kGetFeatures = 0x0a,
  kAsyncEventRequest = 0x0c,
};

enum IoOpcode : uint8_t {
  kFlush = 0x00,
  kWrite = 0x01,
  kRead = 0x02,
  kCompare = 0x05,
  kWriteZeroes = 0x08,
  kDatasetManagement = 0x09,
};

/// Status code type in bits 10:8, status code in bits 7:0 (4.6.1).
enum class Status : uint16_t {
  kSuccess = 0x000,
  kInvalidOpcode = 0x001,
  kInvalidField = 0x002,
  kDataTransferError = 0x004,
  kAbortRequested = 0x007,
  kInvalidNamespace = 0x00b,
  kSequenceError = 0x00c,
  kPrpOffsetInvalid = 0x013,
  kWriteProtected = 0x020,
  kLbaOutOfRange = 0x080,
  kCapacityExceeded = 0x081,
  // Of one command each
  kCompletionQueueInvalid = 0x100,
  kInvalidQueueIdentifier = 0x101,
  kInvalidQueueSize = 0x102,
  kAbortLimitExceeded = 0x103,
  kEventLimitExceeded = 0x105,
  kInvalidVector = 0x108,
  kInvalidLogPage = 0x109,
  kInvalidQueueDeletion = 0x10c,
  kFeatureNotSaveable = 0x10d,
  // Of the medium
  kWriteFault = 0x280,
  kReadError = 0x281,
  kCompareFailure = 0x285,
};

/// The status field as a completion has it, without the phase tag. Repeating what failed does not help,
/// except after an abort.
[[nodiscard]] constexpr uint16_t status_field(Status status) {
  constexpr uint16_t kDoNotRetry = 1u << 15;
  const auto code = static_cast<uint16_t>(static_cast<unsigned>(status) << 1);
  const bool final = status != Status::kSuccess && status != Status::kAbortRequested;
  return final ? code | kDoNotRetry : code;
}

}  // namespace eidolon::device::storage::nvme
