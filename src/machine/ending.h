// How a machine's run ended.
#pragma once

#include <cstdint>

namespace eidolon::machine {

struct Ending {
  enum class Kind : uint8_t {
    kPowerOff,      ///< the guest switched the machine off
    kReset,         ///< the guest asked for a reset
    kTripleFault,   ///< the processor shut down
    kDebugExit,     ///< the guest wrote to the debug-exit port
    kDisagreement,  ///< the lockstep engine found a difference: Machine::engine_report tells it
    kDamaged,       ///< memory that came from a snapshot is not what it was; the user has been told
    kMoved,         ///< it goes on in another process (Migration)
    kLost,          ///< it went on in another process, but its memory did not follow; the user has been told
    kStopped,       ///< the host asked for it (Machine::stop)
  } kind;
  uint32_t debug_value = 0;  ///< of kDebugExit: what was written
};

}  // namespace eidolon::machine
