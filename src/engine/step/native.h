// Runs stubs: on the right extended state, with the memory operand where the host can reach it, and with host
// faults turned into the guest's.
#pragma once

#include <memory>

#include "cpu/cpu.h"
#include "cpu/fault.h"
#include "engine/host_fault.h"
#include "engine/step/operation.h"
#include "engine/step/stub.h"

namespace eidolon::engine::step {

class CodeMemory;

class NativeRunner {
 public:
  NativeRunner(cpu::State& state, const CodeMemory& code);
  ~NativeRunner();
  NativeRunner(const NativeRunner&) = delete;
  NativeRunner& operator=(const NativeRunner&) = delete;

  /// Runs the operation's stub with its memory operand, if it has one, at `memory` (`offset` is the guest's
  /// name for it). On a fault nothing but the FPU's own sticky status has changed.
  [[nodiscard]] cpu::Outcome<> run(const Operation& operation, void* memory, uint64_t offset = 0);

 private:
  [[nodiscard]] static bool on_host_fault(void* cookie, HostFault& fault);
  void sanitize_image();
  void hide_host_pointers(const Operation& operation, const void* memory, uint64_t offset);
  [[nodiscard]] std::unexpected<cpu::Fault> guest_fault() const;

  cpu::State& state_;
  const CodeMemory& code_;
  StubFrame frame_;
  bool in_fpu_ = false;
  std::unique_ptr<cpu::XsaveImage> clean_;
};

}  // namespace eidolon::engine::step
