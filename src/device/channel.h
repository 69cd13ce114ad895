// A guest's port for bytes and what it leads to on the host: the two ends of a wire, as net/link.h has them
// for frames.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace eidolon::device {

/// The guest's end. Called from the channel's thread; takes the device's own lock.
class Port {
 public:
  virtual ~Port() = default;
  /// Bytes that the guest sends, into `to`; how many, 0 if there are none now.
  [[nodiscard]] virtual size_t send_some(std::span<uint8_t> to) = 0;
  /// Bytes for the guest; how many it takes now. The port calls Channel::wake() when it may take more.
  [[nodiscard]] virtual size_t receive(std::span<const uint8_t> bytes) = 0;
  /// What connected() or size() says may be another now.
  virtual void channel_changed() = 0;
};

/// Of a terminal, in characters.
struct TextSize {
  uint16_t columns = 0, rows = 0;
  friend bool operator==(const TextSize&, const TextSize&) = default;
};

/// The host's end. It pulls bytes as it gets rid of them, so a guest cannot flood it; what the guest sends
/// while nobody is there is lost.
class Channel {
 public:
  virtual ~Channel() = default;
  /// One port, or null: when this returns, the port before is not called any more. Not with the device's lock
  /// held.
  virtual void plug(Port* port) = 0;
  // From any thread, at once, with the device's lock held or not.
  /// There are bytes to send, or there is room to receive.
  virtual void wake() = 0;
  /// Somebody is there.
  [[nodiscard]] virtual bool connected() const = 0;
  /// Nothing: it is no terminal.
  [[nodiscard]] virtual std::optional<TextSize> size() const { return std::nullopt; }
};

}  // namespace eidolon::device
