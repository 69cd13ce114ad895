// Host faults in generated code: one signal handler for the process, a table of code ranges, and a callback
// per range that says how execution goes on.
//
// A fault whose RIP lies in no range belongs to somebody else: it goes to the handler that was there before,
// or to the default action.
#pragma once

#include <signal.h>
#include <ucontext.h>

#include <cstdint>

#include "base/result.h"

namespace eidolon::engine {

/// What the processor said about a fault (the trap frame that Linux hands on).
struct HostFault {
  uint8_t vector;    ///< x86::Vector: what a guest would have been told, if it was the guest's fault
  uint64_t error;    ///< hardware error code
  uint64_t address;  ///< CR2 of a page fault
  siginfo_t* info;
  ucontext_t* context;  ///< may be changed: execution resumes from it
};

/// True if `fault.context` now says how to go on; false if this fault is none of the range's business. Runs
/// in a signal handler on the alternate stack, on the faulting thread.
using HostFaultCallback = bool (*)(void* cookie, HostFault& fault);

/// Faults with RIP in [begin, end) go to `callback`. Thread-safe. Fails if the table is full or handlers
/// cannot be installed.
Result<> register_fault_range(const void* begin, const void* end, HostFaultCallback callback, void* cookie);
void unregister_fault_range(const void* begin);

/// Gives the calling thread an alternate signal stack. To be called before generated code runs on it; cheap
/// when repeated. Every handler of the process has to be installed with SA_ONSTACK: generated code runs with
/// a guest's RSP in RSP.
void prepare_thread_for_faults();

}  // namespace eidolon::engine
