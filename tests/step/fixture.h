// A processor with a step engine, code written by hand, and a device to see accesses arrive.
#pragma once

#include <initializer_list>

#include "cpu/fixture.h"
#include "engine/step/step_engine.h"

namespace eidolon::engine {

class StepTest : public cpu::CpuTest {
 protected:
  static constexpr uint64_t kDevice = 0x10000000;  ///< MMIO, mapped by CpuTest::long_mode

  StepTest() : engine(*cpu) { EXPECT_TRUE(mmio.attach(kDevice, 0x1000, registers, "registers")); }

  /// Puts `bytes` at the linear address of CS:RIP (paging is off or the identity).
  void code(std::initializer_list<int> bytes) {
    uint64_t at = (state.long_code() ? 0 : state.segment[x86::kCs].base) + state.rip;
    for (const int byte : bytes) put<uint8_t>(at++, static_cast<uint8_t>(byte));
  }
  [[nodiscard]] int execute() { return cpu::vector_of(engine.execute_one()); }

  cpu::RecordingDevice registers;
  StepEngine engine;
};

}  // namespace eidolon::engine
