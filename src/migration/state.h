// What a machine is besides its memory, on its way: its description first, which is a snapshot without
// anything else (snapshot/table.h), and at the end the whole of it.
#pragma once

#include "base/clock.h"
#include "base/file.h"
#include "base/result.h"
#include "migration/connection.h"
#include "migration/memory_layout.h"
#include "migration/message.h"

namespace eidolon::migration {

/// The first message.
struct Hello {
  MemoryLayout layout;
  FileDescriptor description;      ///< a file with no name
  bool memory_may_follow = false;  ///< after the machine has begun to run there (kMissing)
};
Result<> send_hello(Connection& to, const MemoryLayout& layout, int description, bool memory_may_follow);
/// `host_bytes`: a machine with more memory is refused.
Result<Hello> read_hello(const Message& message, uint64_t host_bytes);

/// The host's, since 1970.
[[nodiscard]] Nanoseconds time_of_day();

struct StateEnd {
  Nanoseconds stopped_at = 0;  ///< the time of day when the guest began to stand
  bool paused = false;         ///< its user had stopped it before
};
/// Message by message, and the end.
Result<> send_state(Connection& to, int file, const StateEnd& end);

/// Gathers it on the other side.
class StateReceiver {
 public:
  static Result<StateReceiver> create();
  Result<> take(Bytes payload);
  /// The file, and what was said at its end.
  Result<StateEnd> finish(Bytes payload);
  [[nodiscard]] FileDescriptor take_file() { return std::move(file_); }

 private:
  explicit StateReceiver(FileDescriptor file) : file_(std::move(file)) {}
  FileDescriptor file_;
  uint64_t length_ = 0;
};

}  // namespace eidolon::migration
