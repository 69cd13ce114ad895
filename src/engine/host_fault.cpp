// See host_fault.h. Signals: sigaction(2), sigaltstack(2); the trap number and error code are those of the
// kernel's sigcontext.
#include "engine/host_fault.h"

#include <sys/mman.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>

namespace eidolon::engine {

namespace {

struct Range {
  std::atomic<uintptr_t> begin{0};  ///< 0: free. Written last, read first
  std::atomic<uintptr_t> end{0};
  std::atomic<HostFaultCallback> callback{nullptr};
  std::atomic<void*> cookie{nullptr};
};

constexpr std::array kSignals = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};

// A signal handler has no argument to find its owner by: these have to be reachable without one.
std::array<Range, 512> ranges;
std::array<struct sigaction, kSignals.size()> previous;
std::mutex registration;
bool installed = false;

const Range* find_range(uintptr_t address) {
  for (const Range& range : ranges) {
    const uintptr_t begin = range.begin.load(std::memory_order_acquire);
    if (begin != 0 && address >= begin && address < range.end.load(std::memory_order_relaxed)) return &range;
  }
  return nullptr;
}

void pass_on(int signal, siginfo_t* info, void* context) {
  for (size_t i = 0; i < kSignals.size(); ++i) {
    if (kSignals[i] != signal) continue;
    const struct sigaction& action = previous[i];
    if (action.sa_flags & SA_SIGINFO) {
      action.sa_sigaction(signal, info, context);
    } else if (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN) {
      action.sa_handler(signal);
    } else {
      // The faulting instruction runs again when this handler returns, and now ends the process.
      struct sigaction fallback = {};
      fallback.sa_handler = SIG_DFL;
      sigaction(signal, &fallback, nullptr);
    }
  }
}

void handle(int signal, siginfo_t* info, void* raw_context) {
  const int saved_errno = errno;
  auto* context = static_cast<ucontext_t*>(raw_context);
  const auto* registers = context->uc_mcontext.gregs;
  if (const Range* range = find_range(static_cast<uintptr_t>(registers[REG_RIP]));
      range && info->si_code > 0) {
    HostFault fault{static_cast<uint8_t>(registers[REG_TRAPNO]), static_cast<uint64_t>(registers[REG_ERR]),
                    static_cast<uint64_t>(registers[REG_CR2]), info, context};
    const HostFaultCallback callback = range->callback.load(std::memory_order_relaxed);
    if (callback(range->cookie.load(std::memory_order_relaxed), fault)) {
      errno = saved_errno;
      return;
    }
  }
  pass_on(signal, info, raw_context);
  errno = saved_errno;
}

Result<> install_handlers() {
  if (installed) return {};
  struct sigaction action = {};
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < kSignals.size(); ++i) {
    if (sigaction(kSignals[i], &action, &previous[i]) != 0)
      return fail("cannot install a signal handler: {}", std::strerror(errno));
  }
  installed = true;
  return {};
}

/// A thread's alternate stack, with room for the largest extended state that the kernel may push.
class AlternateStack {
 public:
  AlternateStack() {
    memory_ = mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (memory_ == MAP_FAILED) return;
    // SAFETY: while a stub runs RSP is the guest's, and may point into this very stack. Without
    // SS_AUTODISARM the kernel would take that for a nested signal and go on below the guest's RSP.
    stack_t stack = {};
    stack.ss_sp = memory_;
    stack.ss_size = kSize;
    stack.ss_flags = static_cast<int>(kAutodisarm);
    sigaltstack(&stack, &previous_);
  }
  ~AlternateStack() {
    if (memory_ == MAP_FAILED) return;
    sigaltstack(&previous_, nullptr);
    munmap(memory_, kSize);
  }
  AlternateStack(const AlternateStack&) = delete;
  AlternateStack& operator=(const AlternateStack&) = delete;

 private:
  static constexpr size_t kSize = 128 << 10;
  static constexpr unsigned kAutodisarm = 1u << 31;  // SS_AUTODISARM: glibc's header lacks it
  void* memory_ = MAP_FAILED;
  stack_t previous_ = {};
};

}  // namespace

Result<> register_fault_range(const void* begin, const void* end, HostFaultCallback callback, void* cookie) {
  const std::lock_guard lock(registration);
  if (auto done = install_handlers(); !done) return done;
  for (Range& range : ranges) {
    if (range.begin.load(std::memory_order_relaxed) != 0) continue;
    // SAFETY: addresses are only compared.
    range.end.store(reinterpret_cast<uintptr_t>(end), std::memory_order_relaxed);
    range.callback.store(callback, std::memory_order_relaxed);
    range.cookie.store(cookie, std::memory_order_relaxed);
    range.begin.store(reinterpret_cast<uintptr_t>(begin), std::memory_order_release);
    return {};
  }
  return fail("too many processors in this process: the table of code ranges is full");
}

void unregister_fault_range(const void* begin) {
  const std::lock_guard lock(registration);
  for (Range& range : ranges) {
    if (range.begin.load(std::memory_order_relaxed) == reinterpret_cast<uintptr_t>(begin))
      range.begin.store(0, std::memory_order_release);
  }
}

void prepare_thread_for_faults() { thread_local const AlternateStack stack; }

}  // namespace eidolon::engine
