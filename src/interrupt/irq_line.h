// One wire that asks for an interrupt.
#pragma once

namespace eidolon::interrupt {

/// The device's end of a wire. `true` asserts it; repeating a level does nothing. A device may hold its
/// own lock: interrupt controllers never call devices.
///
/// Lock order of everything that interrupts pass through:
///   device -> IrqRouter -> Pic -> IoApic -> LocalApic -> cpu::EventFlags
class IrqLine {
 public:
  virtual ~IrqLine() = default;
  virtual void set(bool level) = 0;
};

}  // namespace eidolon::interrupt
