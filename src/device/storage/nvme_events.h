// What an NVMe controller tells its driver unasked: asynchronous events (NVM Express 1.4, 5.2) and the error
// log (5.14.1.1). No lock: the controller has one.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "base/state_stream.h"
#include "device/storage/nvme_identify.h"
#include "device/storage/nvme_queues.h"

namespace eidolon::device::storage::nvme {

/// An entry of the error log.
struct ErrorEntry {
  uint64_t number = 0;  ///< counts from 1; 0: no entry
  uint16_t queue = 0;
  uint16_t command = 0;
  uint16_t status = 0;
  uint16_t parameter = 0xffff;
  uint64_t block = 0;
  uint32_t nsid = 0;
  uint32_t unused = 0;
  std::array<uint64_t, 4> more{};
};
static_assert(sizeof(ErrorEntry) == 64);

class Events {
 public:
  enum class Error : uint8_t { kNoSuchDoorbell = 0, kBadDoorbellValue = 1 };

  void clear();
  /// A doorbell that is not there, or a value that it cannot have. One event until the log is read.
  void doorbell_error(Error what);
  void command_error(uint16_t queue, const Command& command, Status status);

  /// Takes an ASYNCHRONOUS EVENT REQUEST; false if there are too many.
  [[nodiscard]] bool request(uint16_t command);
  /// Takes an outstanding request back; false if there is none of that identifier.
  [[nodiscard]] bool withdraw(uint16_t command);

  struct Notice {
    uint16_t command;
    uint32_t result;
  };
  /// An event and the request that it answers.
  [[nodiscard]] std::optional<Notice> next();
  /// The error log was read: the next error is told again.
  void error_log_read() { masked_ = false; }

  /// The latest first.
  [[nodiscard]] std::array<ErrorEntry, kErrorEntries> error_log() const;
  [[nodiscard]] uint64_t errors() const { return count_; }

  void save(StateWriter& to) const;
  void load(StateReader& from);

 private:
  void log(ErrorEntry entry);

  std::array<ErrorEntry, kErrorEntries> log_{};  ///< number n at place n modulo the size
  uint64_t count_ = 0;
  std::optional<Error> pending_;
  bool masked_ = false;
  std::vector<uint16_t> requests_;
};

}  // namespace eidolon::device::storage::nvme
