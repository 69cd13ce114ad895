// Ethernet frames on a stream socket, each behind its length in four bytes, upper byte first: what QEMU's
// "-netdev stream" and passt speak, too. The socket never blocks; what it does not take yet waits here, as
// far as there is room.
//
// Frames that are not finished (device/net/offload.h) have the length's upper bit set, and ten bytes before
// them that say what is left to do. They are only for who takes them: a machine asks, and the switch answers,
// which says it of both. Question and answer are frames to a group address that no bridge forwards (IEEE
// 802.1Q, 8.6.3), of the type for experiments; others leave them alone.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/file.h"
#include "device/net/offload.h"

namespace eidolon::backend {

class FrameStream {
 public:
  static constexpr size_t kMostFrame = 68 << 10;  ///< bytes, with those before it; a longer one is no frame
  static constexpr size_t kMostQueued = 1 << 20;  ///< bytes

  /// `fd` does not block.
  explicit FrameStream(FileDescriptor fd) : fd_(std::move(fd)) {}
  [[nodiscard]] int fd() const { return fd_.get(); }

  // Sending.
  [[nodiscard]] bool has_room() const { return out_.size() - sent_ < kMostQueued; }
  [[nodiscard]] bool has_queued() const { return sent_ < out_.size(); }
  /// Only if it has room.
  void queue(std::span<const uint8_t> frame, const device::net::Offload& offload = {});
  enum class Greeting : uint8_t { kQuestion, kAnswer };
  void queue_greeting(Greeting which);
  /// As much as the socket takes. False: the connection is over.
  [[nodiscard]] bool flush();

  // Receiving.
  /// What has come, up to some 64 KiB. False: the connection is over.
  [[nodiscard]] bool fill();
  /// What comes next is no frame.
  [[nodiscard]] bool broken() const;
  /// The first frame that is there as a whole, until pop() or fill().
  [[nodiscard]] std::optional<std::span<const uint8_t>> front() const;
  /// What is left to do about it.
  [[nodiscard]] device::net::Offload front_offload() const;
  void pop();
  [[nodiscard]] static bool is_greeting(std::span<const uint8_t> frame, Greeting which);

 private:
  [[nodiscard]] uint32_t front_word() const;
  [[nodiscard]] size_t front_length() const;
  [[nodiscard]] bool front_is_unfinished() const;
  /// There are four bytes, and it is not too short for what they say.
  [[nodiscard]] std::optional<std::span<const uint8_t>> whole_front() const;

  FileDescriptor fd_;
  std::vector<uint8_t> out_, in_;
  size_t sent_ = 0;   ///< of out_
  size_t taken_ = 0;  ///< of in_
};

}  // namespace eidolon::backend
