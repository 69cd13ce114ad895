// A kick is a flag in the shared page, which KVM looks at when it enters the guest, and a signal for who is
// there already (KVM API, 5: "immediate_exit").
#include "engine/kvm/vcpu.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/try.h"

namespace eidolon::engine::kvm {

namespace {

int kick_signal() { return SIGRTMIN; }

/// A signal that does nothing but end the ioctl that it interrupts.
void catch_kicks() {
  static const bool caught = [] {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    action.sa_flags = SA_RESTART;  // for who is out of the guest already; KVM_RUN ends all the same
    sigemptyset(&action.sa_mask);
    return sigaction(kick_signal(), &action, nullptr) == 0;
  }();
  (void)caught;
}

std::atomic_ref<uint8_t> immediate_exit(kvm_run& run) { return std::atomic_ref(run.immediate_exit); }

}  // namespace

Result<std::unique_ptr<Vcpu>> Vcpu::create(const VirtualMachine& machine, unsigned number) {
  catch_kicks();
  FileDescriptor vcpu = EIDOLON_TRY(machine.create_vcpu(number));
  const size_t bytes = machine.system().run_bytes();
  void* shared = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu.get(), 0);
  if (shared == MAP_FAILED) return fail("cannot map processor {} of KVM ({})", number, std::strerror(errno));
  return std::unique_ptr<Vcpu>(new Vcpu(std::move(vcpu), static_cast<kvm_run*>(shared), bytes));
}

Vcpu::~Vcpu() { munmap(run_, bytes_); }

int Vcpu::call_raw(unsigned long request, void* argument) const {
  return ioctl(vcpu_.get(), request, argument);
}

void Vcpu::listen() { immediate_exit(*run_).store(0); }

Vcpu::Exit Vcpu::run() {
  in_guest_.store(gettid());  // before KVM looks at immediate_exit, which a kick sets before it looks here
  const Exit exit = enter();
  in_guest_.store(0);
  return exit;
}

Vcpu::Exit Vcpu::finish_instruction() {
  immediate_exit(*run_).store(1);
  return enter();
}

Vcpu::Exit Vcpu::enter() {
  if (ioctl(vcpu_.get(), KVM_RUN, 0) == 0) return Exit::kGuest;
  return errno == EINTR || errno == EAGAIN ? Exit::kKicked : Exit::kFailed;
}

void Vcpu::kick() {
  immediate_exit(*run_).store(1);
  // One that comes too late does nothing, even if the thread is gone.
  if (const pid_t thread = in_guest_.load(); thread != 0) (void)tgkill(getpid(), thread, kick_signal());
}

}  // namespace eidolon::engine::kvm
