#include "native_run.h"

#include <gtest/gtest.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

#include <cstring>

extern "C" {
eidolon::isa::NativeState isa_native_state;
uint64_t isa_native_stack;
uint64_t isa_native_target;
void isa_native_enter();
void isa_native_return();
}

// SAFETY: every register, the stack pointer too, takes an arbitrary value around the instruction under test.
// It touches no memory, and signals run on a stack of their own; the stack pointer is restored before
// anything is pushed.
asm(R"(
.text
.globl isa_native_enter
isa_native_enter:
  push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15
  mov %rsp, isa_native_stack(%rip)
  lea isa_native_state(%rip), %rax
  push 128(%rax); popfq
  mov 8(%rax), %rcx; mov 16(%rax), %rdx; mov 24(%rax), %rbx; mov 32(%rax), %rsp; mov 40(%rax), %rbp
  mov 48(%rax), %rsi; mov 56(%rax), %rdi; mov 64(%rax), %r8; mov 72(%rax), %r9; mov 80(%rax), %r10
  mov 88(%rax), %r11; mov 96(%rax), %r12; mov 104(%rax), %r13; mov 112(%rax), %r14; mov 120(%rax), %r15
  mov 0(%rax), %rax
  jmp *isa_native_target(%rip)
.globl isa_native_return
isa_native_return:
  mov %rax, isa_native_state(%rip)
  lea isa_native_state(%rip), %rax
  mov %rcx, 8(%rax); mov %rdx, 16(%rax); mov %rbx, 24(%rax); mov %rsp, 32(%rax); mov %rbp, 40(%rax)
  mov %rsi, 48(%rax); mov %rdi, 56(%rax); mov %r8, 64(%rax); mov %r9, 72(%rax); mov %r10, 80(%rax)
  mov %r11, 88(%rax); mov %r12, 96(%rax); mov %r13, 104(%rax); mov %r14, 112(%rax); mov %r15, 120(%rax)
  mov isa_native_stack(%rip), %rsp
  pushfq; pop 128(%rax)
  cld
  fninit
  pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx
  ret
)");

namespace eidolon::isa {

namespace {

constexpr size_t kPageSize = 4096;
constexpr size_t kSignalStackSize = 65536;
constexpr int kFaults[] = {SIGILL, SIGFPE, SIGSEGV, SIGBUS, SIGTRAP};
sigjmp_buf fault_exit;

void on_fault(int signal) { siglongjmp(fault_exit, signal); }

uint8_t* map(size_t size, int protection) {
  void* memory = mmap(nullptr, size, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<uint8_t*>(memory);
}

}  // namespace

NativeRunner::NativeRunner()
    : page_(map(kPageSize, PROT_READ | PROT_WRITE | PROT_EXEC)),
      signal_stack_(map(kSignalStackSize, PROT_READ | PROT_WRITE)) {
  EXPECT_NE(page_, nullptr);
  EXPECT_NE(signal_stack_, nullptr);
  stack_t stack{};
  stack.ss_sp = signal_stack_;
  stack.ss_size = kSignalStackSize;
  sigaltstack(&stack, nullptr);
  struct sigaction action {};
  action.sa_handler = on_fault;
  action.sa_flags = SA_ONSTACK;
  for (const int signal : kFaults) sigaction(signal, &action, nullptr);
}

NativeRunner::~NativeRunner() {
  for (const int signal : kFaults) ::signal(signal, SIG_DFL);
  stack_t stack{};
  stack.ss_flags = SS_DISABLE;
  sigaltstack(&stack, nullptr);
  munmap(page_, kPageSize);
  munmap(signal_stack_, kSignalStackSize);
}

void NativeRunner::load(std::span<const uint8_t> code) {
  constexpr uint8_t kJump[] = {0xff, 0x25, 0, 0, 0, 0};  // jmp [rip], the target follows
  // SAFETY: code addresses as data, for the jumps into the page and back.
  const uint64_t target = reinterpret_cast<uint64_t>(&isa_native_return);
  std::memcpy(page_, code.data(), code.size());
  std::memcpy(page_ + code.size(), kJump, sizeof kJump);
  std::memcpy(page_ + code.size() + sizeof kJump, &target, sizeof target);
}

bool NativeRunner::run(NativeState& state) {
  isa_native_state = state;
  isa_native_target = reinterpret_cast<uint64_t>(page_);
  signal_ = sigsetjmp(fault_exit, 1);
  if (signal_ != 0) return false;
  isa_native_enter();
  state = isa_native_state;
  return true;
}

}  // namespace eidolon::isa
