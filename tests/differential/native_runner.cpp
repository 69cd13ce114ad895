#include "differential/native_runner.h"

#include <immintrin.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/assert.h"
#include "engine/host_fault.h"
#include "x86/exceptions.h"

namespace eidolon::differential {

namespace {

constexpr std::array kSignals = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
constexpr unsigned kHeader = 512;
constexpr unsigned kSoftwareBytes = 464;  // of the signal frame: the kernel's own notes
constexpr unsigned kGuestBytes = 2688;    // up to Hi16_ZMM; PKRU follows
constexpr std::array kGprOrder = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                  REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
constexpr uint64_t kCompared = x86::kFlagsArithmetic | x86::kFlagDf;

// Handlers have no other way to find these.
const Case* current = nullptr;
Result* current_result = nullptr;
mcontext_t saved_registers;
std::array<uint8_t, 16384> saved_extended;
size_t saved_extended_size = 0;

uint8_t* extended_state(ucontext_t* context) {
  return reinterpret_cast<uint8_t*>(context->uc_mcontext.fpregs);
}

size_t extended_size(const uint8_t* frame) {
  uint32_t size;
  std::memcpy(&size, frame + kSoftwareBytes + 16, sizeof size);  // xstate_size
  return size;
}

/// Of the frame and of an image of ours: a frame is as large as the host's processor needs, and the kernel's
/// notes go on behind it.
size_t copied_size(const uint8_t* frame) { return std::min<size_t>(kGuestBytes, extended_size(frame)); }

[[gnu::target("xsave")]] uint64_t guest_components() { return _xgetbv(0) & 0xe7; }

void load_case(int, siginfo_t*, void* raw) {
  auto* context = static_cast<ucontext_t*>(raw);
  saved_registers = context->uc_mcontext;
  uint8_t* frame = extended_state(context);
  saved_extended_size = extended_size(frame);
  std::memcpy(saved_extended.data(), frame, saved_extended_size);

  auto* registers = context->uc_mcontext.gregs;
  const Registers& before = current->before;
  for (size_t i = 0; i < kGprOrder.size(); ++i) registers[kGprOrder[i]] = static_cast<greg_t>(before.gpr[i]);
  registers[REG_RIP] = static_cast<greg_t>(before.rip);
  const uint64_t step = current->repeated ? 0 : x86::kFlagTf;
  registers[REG_EFL] =
      static_cast<greg_t>((before.flags & kCompared) | step | x86::kFlagIf | x86::kFlagFixed);
  if (current->code_size == isa::CodeSize::k32) {
    registers[REG_CSGSFS] = (registers[REG_CSGSFS] & ~greg_t{0xffff}) | 0x23;  // Linux's 32-bit code segment
  }
  const uint8_t* image = before.fpu.bytes.data();
  std::memcpy(frame, image, kSoftwareBytes);
  std::memcpy(frame + kHeader + 64, image + kHeader + 64, copied_size(frame) - kHeader - 64);
  uint64_t ours, theirs;
  std::memcpy(&theirs, frame + kHeader, sizeof theirs);
  std::memcpy(&ours, image + kHeader, sizeof ours);
  const uint64_t present = (theirs & ~guest_components()) | (ours & guest_components());
  std::memcpy(frame + kHeader, &present, sizeof present);
}

void take_result(int, siginfo_t*, void* raw) {
  auto* context = static_cast<ucontext_t*>(raw);
  auto* registers = context->uc_mcontext.gregs;
  Result& result = *current_result;
  const auto vector = static_cast<int>(registers[REG_TRAPNO]);
  const bool ended = vector == x86::kDebug || vector == x86::kBreakpoint;
  result.vector = ended ? -1 : vector;
  result.error = ended ? 0 : static_cast<uint64_t>(registers[REG_ERR]);
  result.address = vector == x86::kPageFault ? static_cast<uint64_t>(registers[REG_CR2]) : 0;
  for (size_t i = 0; i < kGprOrder.size(); ++i)
    result.after.gpr[i] = static_cast<uint64_t>(registers[kGprOrder[i]]);
  result.after.rip = static_cast<uint64_t>(registers[REG_RIP]) - (vector == x86::kBreakpoint ? 1 : 0);
  result.after.flags = static_cast<uint64_t>(registers[REG_EFL]) & kCompared;
  uint8_t* frame = extended_state(context);
  uint8_t* image = result.after.fpu.bytes.data();
  std::memset(image, 0, result.after.fpu.bytes.size());
  std::memcpy(image, frame, kSoftwareBytes);
  std::memcpy(image + kHeader, frame + kHeader, copied_size(frame) - kHeader);
  uint64_t present;
  std::memcpy(&present, frame + kHeader, sizeof present);
  present &= guest_components();
  std::memcpy(image + kHeader, &present, sizeof present);

  std::memcpy(frame, saved_extended.data(), saved_extended_size);
  std::memcpy(registers, saved_registers.gregs, sizeof saved_registers.gregs);
}

void map_at(uint64_t address, uint64_t size) {
  // SAFETY: MAP_FIXED_NOREPLACE takes only unused addresses.
  void* wanted = reinterpret_cast<void*>(address);
  void* got =
      mmap(wanted, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  EIDOLON_ASSERT(got == wanted);
}

uint8_t* at(uint64_t address) { return reinterpret_cast<uint8_t*>(address); }

/// DS and ES count in 32-bit code.
void load_data_segments(uint16_t selector) { asm volatile("mov %0, %%ds; mov %0, %%es" ::"r"(selector)); }

}  // namespace

NativeRunner::NativeRunner() {
  map_at(kArena, kArenaSize);
  map_at(kCode, kCodeSize);
}

NativeRunner::~NativeRunner() {
  munmap(at(kArena), kArenaSize);
  munmap(at(kCode), kCodeSize);
}

void NativeRunner::run(const Case& test, Result& result) {
  engine::prepare_thread_for_faults();
  mprotect(at(kArena), kArenaSize, PROT_READ | PROT_WRITE);
  std::memcpy(at(kArena), test.arena.data(), kArenaSize);
  mprotect(at(kArena + kArenaWritable), kArenaSize - kArenaWritable, PROT_READ);
  mprotect(at(kCode), kCodeSize, PROT_READ | PROT_WRITE);
  std::memset(at(kCode), 0xcc, kCodeSize);
  std::memcpy(at(test.before.rip), test.code.data(), test.code_length);
  mprotect(at(kCode), kCodeSize, PROT_READ | PROT_EXEC);

  current = &test;
  current_result = &result;
  std::array<struct sigaction, kSignals.size()> previous;
  struct sigaction action = {}, previous_user;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  action.sa_sigaction = take_result;
  for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &action, &previous[i]);
  action.sa_sigaction = load_case;
  sigaction(SIGUSR1, &action, &previous_user);
  load_data_segments(0x2b);
  raise(SIGUSR1);
  load_data_segments(0);
  sigaction(SIGUSR1, &previous_user, nullptr);
  for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &previous[i], nullptr);
  std::memcpy(result.arena.data(), at(kArena), kArenaSize);
}

}  // namespace eidolon::differential
