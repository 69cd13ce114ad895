// Addresses where a processor's write is nothing but "look at this": who runs the guest may then write to an
// event descriptor by itself, and the processor goes on without waiting for the monitor.
#pragma once

#include <cstdint>

namespace eidolon::memory {

/// A host's kernel that can (engine/kvm/kernel_doorbells.h). From any thread.
class Doorbells {
 public:
  virtual ~Doorbells() = default;
  /// Writes of any value to `address` raise `event` from now on, and reach no IoHandler. False: they still
  /// do.
  [[nodiscard]] virtual bool connect(uint64_t address, int event) = 0;
  /// What was connected.
  virtual void disconnect(uint64_t address, int event) = 0;
};

}  // namespace eidolon::memory
