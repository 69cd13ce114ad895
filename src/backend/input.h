// Keys on their way to the guest: read from a descriptor, freed of the monitor's own commands, and handed to
// the serial port as fast as the guest takes them.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "backend/escape.h"

namespace eidolon::backend {

/// Driven by the event loop of Console; not thread-safe.
class Input {
 public:
  /// Takes bytes for the guest and returns how many it had room for.
  using Receiver = std::function<size_t(std::span<const uint8_t>)>;

  /// `fd` stays the caller's. With `interactive`, Ctrl-A is the monitor's, and reading never stops, so that a
  /// guest that takes nothing can still be left; what it does not take is dropped beyond kPendingBytes.
  /// Otherwise reading stops while the guest takes nothing, and nothing is lost.
  Input(int fd, bool interactive) : fd_(fd), interactive_(interactive) {}

  void set_receiver(Receiver receiver) { receiver_ = std::move(receiver); }
  /// Whether the event loop should poll for input now.
  [[nodiscard]] bool wants_data() const;
  [[nodiscard]] bool has_pending() const { return !pending_.empty(); }
  /// Reads what is there and hands it on. The end of the input, or an error, only ends the reading.
  EscapeCommand on_readable();
  /// Hands on what was kept back. Call when the receiver may have room.
  void deliver();

 private:
  static constexpr size_t kPendingBytes = 4096;

  int fd_;
  bool interactive_;
  bool ended_ = false;
  EscapeFilter escape_;
  Receiver receiver_;
  std::vector<uint8_t> pending_;
};

}  // namespace eidolon::backend
