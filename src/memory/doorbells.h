// Addresses where a processor's write is nothing but "look at this": who runs the guest may then write to an
// event descriptor by itself, and the processor goes on without waiting for the monitor.
#pragma once

#include <cstdint>
#include <optional>

namespace eidolon::memory {

struct Doorbell {
  uint64_t address;
  /// Only a write of these four bytes is meant; nothing: each write, of whatever.
  std::optional<uint32_t> value;
  int event;
};

/// A host's kernel that can (engine/kvm/kernel_doorbells.h). From any thread.
class Doorbells {
 public:
  virtual ~Doorbells() = default;
  /// Such writes raise the event from now on, and reach no IoHandler. False: they still do.
  [[nodiscard]] virtual bool connect(const Doorbell& doorbell) = 0;
  /// One that was connected.
  virtual void disconnect(const Doorbell& doorbell) = 0;
};

}  // namespace eidolon::memory
