// What answers a port or a memory-mapped register: the interface between the buses and devices.
#pragma once

#include <cstdint>

namespace eidolon::memory {

/// A device's side of a range of ports or of MMIO. `offset` counts from the start of the range, so a
/// device does not know where it sits. `size` is 1, 2, 4 or 8 bytes (never more than the range has
/// left); the value's upper bits are zero. Called from vCPU threads: a device takes its own lock.
class IoHandler {
 public:
  virtual ~IoHandler() = default;
  [[nodiscard]] virtual uint64_t io_read(uint64_t offset, unsigned size) = 0;
  virtual void io_write(uint64_t offset, unsigned size, uint64_t value) = 0;
};

/// Sees every access to a bus, as the processor made it: before it is split, and with what came back.
class IoObserver {
 public:
  virtual ~IoObserver() = default;
  virtual void after_read(uint64_t address, unsigned size, uint64_t value) = 0;
  virtual void before_write(uint64_t address, unsigned size, uint64_t value) = 0;
};

}  // namespace eidolon::memory
