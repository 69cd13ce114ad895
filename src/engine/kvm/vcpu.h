// One processor of KVM's: its descriptor, the page that it shares with the monitor, and how others get it out
// of the guest.
#pragma once

#include <linux/kvm.h>
#include <sys/types.h>

#include <atomic>
#include <memory>

#include "base/file.h"
#include "base/result.h"
#include "cpu/event_flags.h"
#include "engine/kvm/virtual_machine.h"

namespace eidolon::engine::kvm {

class Vcpu final : public cpu::Kick {
 public:
  static Result<std::unique_ptr<Vcpu>> create(const VirtualMachine& machine, unsigned number);
  ~Vcpu() override;
  Vcpu(const Vcpu&) = delete;
  Vcpu& operator=(const Vcpu&) = delete;

  [[nodiscard]] kvm_run& shared() { return *run_; }
  /// The ioctl's own answer: -1 and errno if it failed.
  template <typename Argument>
  int call(unsigned long request, Argument* argument) const {
    return call_raw(request, argument);
  }

  /// From here on a kick has the next run() return at once. To be called before the events are looked at.
  void listen();
  enum class Exit : uint8_t { kGuest, kKicked, kFailed };
  /// Runs the guest until it needs something (kGuest: shared().exit_reason) or a kick comes.
  Exit run();
  /// Finishes the instruction whose port, memory or MSR access the last run() came for. kGuest: it has one
  /// more.
  Exit finish_instruction();
  void kick() override;

 private:
  Vcpu(FileDescriptor vcpu, kvm_run* run, size_t bytes) : vcpu_(std::move(vcpu)), run_(run), bytes_(bytes) {}
  int call_raw(unsigned long request, void* argument) const;
  Exit enter();

  FileDescriptor vcpu_;
  kvm_run* const run_;
  const size_t bytes_;
  std::atomic<pid_t> in_guest_{0};  ///< the thread that is; 0: none
};

}  // namespace eidolon::engine::kvm
