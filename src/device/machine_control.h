// What a device can ask of the machine as a whole. Implemented in machine/.
#pragma once

#include <cstdint>

namespace eidolon::device {

/// Called from a vCPU thread in the middle of an instruction, possibly with the device's lock held: an
/// implementation only notes the request and stops the processors; it does not call devices back.
class MachineControl {
 public:
  virtual ~MachineControl() = default;
  virtual void power_off() = 0;
  virtual void reset() = 0;
  /// A write to the debug-exit port: the process is to exit with (value << 1) | 1.
  virtual void debug_exit(uint32_t value) = 0;
};

}  // namespace eidolon::device
