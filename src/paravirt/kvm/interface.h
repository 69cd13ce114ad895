// The numbers of KVM's paravirtual interface (Linux, Documentation/virt/kvm/x86: cpuid.rst, msr.rst,
// hypercalls.rst), as far as it is offered here.
#pragma once

#include <cstdint>

namespace eidolon::paravirt::kvm {

enum Feature : uint32_t {
  kClockSource = 1u << 0,  ///< the old numbers of the clock's MSRs
  kNoIoDelay = 1u << 1,    ///< port 0x80 needs not be written to wait
  kClockSource2 = 1u << 3,
  kStealTime = 1u << 5,
  kUnhalt = 1u << 7,  ///< spin locks halt, and are kicked
  kTlbFlush = 1u << 9,
  kSendIpi = 1u << 11,
  kSchedYield = 1u << 13,
  kStableClock = 1u << 24,  ///< the clock is one over all processors
};
/// What works by MSRs and memory alone.
inline constexpr uint32_t kQuietFeatures =
    kClockSource | kNoIoDelay | kClockSource2 | kStealTime | kTlbFlush | kStableClock;
inline constexpr uint32_t kFeatures = kQuietFeatures | kUnhalt | kSendIpi | kSchedYield;

enum Msr : uint32_t {
  kMsrWallClockOld = 0x11,
  kMsrSystemTimeOld = 0x12,
  kMsrWallClock = 0x4b564d00,
  kMsrSystemTime = 0x4b564d01,
  kMsrStealTime = 0x4b564d03,
};

enum Hypercall : uint64_t { kKickCpu = 5, kSendIpiCall = 10, kSchedYieldCall = 11 };
/// What a call answers that is not there, comes from user mode, or makes no sense (KVM_ENOSYS, KVM_EPERM,
/// KVM_EINVAL).
inline constexpr uint64_t kNoSuchCall = static_cast<uint64_t>(-1000),
                          kNotPermitted = static_cast<uint64_t>(-1), kInvalid = static_cast<uint64_t>(-22);

/// struct pvclock_vcpu_time_info: guest time is system_time plus what the TSC counted since tsc_timestamp.
struct SystemTime {
  uint32_t version;  ///< odd while it is being written
  uint32_t reserved;
  uint64_t tsc_timestamp;
  uint64_t system_time;  ///< ns
  uint32_t tsc_to_system_mul;
  int8_t tsc_shift;
  uint8_t flags;
  uint8_t padding[2];
  static constexpr uint8_t kStable = 1;
  static constexpr uint8_t kStopped =
      2;  ///< the guest stood, so its watchdogs are to be patient; it clears this
};
static_assert(sizeof(SystemTime) == 32);

/// struct pvclock_wall_clock: the time of day when system_time was 0.
struct WallClock {
  uint32_t version, seconds, nanoseconds;
};

/// struct kvm_steal_time.
struct StealTime {
  uint64_t steal;  ///< ns that the processor was ready and did not run
  uint32_t version, flags;
  uint8_t preempted;
  uint8_t padding[47];
  static constexpr uint8_t kPreempted = 1;  ///< it does not run
  static constexpr uint8_t kFlushTlb = 2;   ///< another processor asks it to, before it runs again
};
static_assert(sizeof(StealTime) == 64);

}  // namespace eidolon::paravirt::kvm
