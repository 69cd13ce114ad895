// The device interface.
//
//   constructed, wired --reset()--> power-on state --io_read/io_write, input--> running
//                         ^                                        |
//                         +---------- reset(), load() -------------+
//
// A device with one register range is its own IoHandler; one with several hands out a handler for each
// (memory/io_window.h). It has one mutex, taken by every entry: vCPU threads come through io_read and
// io_write, the timer thread through Timer callbacks, host input through functions of the device's own. It
// may set its IrqLines with the mutex held (the order is in interrupt/irq_line.h). A Timer is declared
// last, so that it is destroyed first and no callback sees half a device.
#pragma once

#include "base/state_stream.h"
#include "interrupt/irq_line.h"
#include "memory/io_handler.h"

namespace eidolon::device {

using interrupt::IrqLine;

/// name() is also the name of the device's section of a snapshot: unique in a machine.
class Device : public Stateful {};

}  // namespace eidolon::device
