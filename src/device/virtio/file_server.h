// What a shared folder's device hands requests to: a server of FUSE messages (virtio 1.2, 5.11; Linux's
// <linux/fuse.h>).
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>
#include <vector>

namespace eidolon::device::virtio {

/// One request and the room for its reply, both in the guest's memory, which may change at any time.
class FileMessage {
 public:
  static constexpr uint32_t kMostCopied = 16 * 1024;

  virtual ~FileMessage() = default;
  /// The request's beginning, copied: all of it, but for data that is to be written.
  [[nodiscard]] virtual std::span<const uint8_t> copied() const = 0;
  [[nodiscard]] virtual uint64_t length() const = 0;
  /// The bytes [offset, offset + length) of the request themselves; empty if they are not there as a whole.
  [[nodiscard]] virtual std::vector<iovec> payload(uint64_t offset, uint64_t length) const = 0;
  [[nodiscard]] virtual uint64_t room() const = 0;
  /// The same of the room for the reply, to be filled.
  [[nodiscard]] virtual std::vector<iovec> places(uint64_t offset, uint64_t length) = 0;
  /// Into the room; false: it is not there.
  [[nodiscard]] virtual bool write(uint64_t offset, std::span<const uint8_t> bytes) = 0;
};

class FileServer {
 public:
  virtual ~FileServer() = default;
  /// How many bytes of the room are the reply. From any thread, several at once.
  [[nodiscard]] virtual uint32_t serve(FileMessage& message) = 0;
  /// The guest was reset: it knows of no file any more. No message is being served.
  virtual void forget() = 0;
  /// The guest has it mounted.
  [[nodiscard]] virtual bool in_use() const = 0;
};

}  // namespace eidolon::device::virtio
