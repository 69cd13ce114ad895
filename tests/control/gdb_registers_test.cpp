#include "control/gdb_registers.h"

#include <gtest/gtest.h>

#include <regex>

#include "control/gdb_packets.h"

namespace eidolon::control {
namespace {

// Numbers that GDB gives to what it knows (gdb/features/i386/64bit-core.xml).
constexpr size_t kRdx = 3, kRip = 16, kEflags = 17, kCs = 18, kSt0 = 24, kTag = 34, kXmm1 = 41, kMxcsr = 56,
                 kFsBase = 57, kCr0 = 60;

std::string hex(const cpu::State& state, size_t number) { return to_hex(*read_gdb_register(state, number)); }
bool write(cpu::State& state, size_t number, std::string_view digits) {
  return write_gdb_register(state, number, *from_hex(digits));
}

TEST(GdbRegisters, AreTheProcessors) {
  cpu::State state;
  state.reset();
  state.gpr[x86::kRdx] = 0x1122334455667788;
  EXPECT_EQ(hex(state, kRdx), "8877665544332211");
  EXPECT_EQ(hex(state, kRip), "f0ff000000000000");
  EXPECT_EQ(hex(state, kCs), "00f00000");
  EXPECT_EQ(hex(state, kEflags), "02000000");
  EXPECT_EQ(hex(state, kTag).substr(0, 4), "ffff") << "all empty";
  EXPECT_EQ(hex(state, kMxcsr), "801f0000");
  EXPECT_EQ(hex(state, kCr0), "1000006000000000");
  EXPECT_EQ(read_gdb_register(state, gdb_registers()), std::nullopt);
}

TEST(GdbRegisters, CanBeWritten) {
  cpu::State state;
  state.reset();
  EXPECT_TRUE(write(state, kRdx, "0100000000000080"));
  EXPECT_EQ(state.gpr[x86::kRdx], 0x8000000000000001u);
  EXPECT_TRUE(write(state, kXmm1, "000102030405060708090a0b0c0d0e0f"));
  EXPECT_EQ(hex(state, kXmm1), "000102030405060708090a0b0c0d0e0f");
  EXPECT_EQ(hex(state, kXmm1 - 1), std::string(32, '0')) << "the others stay in their initial state";
  EXPECT_TRUE(write(state, kSt0, "0000000000000080ff3f"));
  EXPECT_EQ(hex(state, kSt0), "0000000000000080ff3f");
  EXPECT_TRUE(write(state, kEflags, "d70c0000"));
  EXPECT_EQ(state.rflags, 0xcd7u);
}

TEST(GdbRegisters, KeepWhatTheProcessorWouldNotTake) {
  cpu::State state;
  state.reset();
  EXPECT_FALSE(write(state, kRdx, "00"));
  EXPECT_FALSE(write(state, kEflags, "02000200")) << "VM";
  EXPECT_FALSE(write(state, kEflags, "00000000")) << "bit 1";
  EXPECT_FALSE(write(state, kMxcsr, "00000100"));
  EXPECT_FALSE(write(state, kFsBase, "0000000000000080"));
  EXPECT_FALSE(write(state, kCs, "01000000"));
  EXPECT_TRUE(write(state, kCs, "00f00000")) << "nothing changes";
  EXPECT_FALSE(write(state, kCr0, "0100000000000000"));
}

TEST(GdbRegisters, AllAtOnce) {
  cpu::State state;
  state.reset();
  std::string bytes = read_gdb_registers(state);
  bytes[0] = 7;
  EXPECT_TRUE(write_gdb_registers(state, bytes));
  EXPECT_EQ(state.gpr[x86::kRax], 7u);
  bytes[0] = 8;
  EXPECT_FALSE(write_gdb_registers(state, bytes + "x"));
  EXPECT_FALSE(write_gdb_registers(state, bytes.substr(1)));
  EXPECT_FALSE(write_gdb_registers(state, ""));
  bytes.back() = 1;
  EXPECT_FALSE(write_gdb_registers(state, bytes)) << "EFER";
  EXPECT_EQ(state.gpr[x86::kRax], 7u) << "all or none";
}

TEST(GdbRegisters, AreDescribedInTheirOrder) {
  const std::string& text = gdb_target_description();
  const std::regex number("bitsize=\"(\\d+)\"[^>]* regnum=\"(\\d+)\"");
  size_t next = 0, bits = 0;
  for (auto at = std::sregex_iterator(text.begin(), text.end(), number); at != std::sregex_iterator(); ++at) {
    EXPECT_EQ(std::stoul((*at)[2]), next++);
    bits += std::stoul((*at)[1]);
  }
  EXPECT_EQ(next, gdb_registers());
  EXPECT_EQ(bits / 8, read_gdb_registers(cpu::State{}).size());
}

}  // namespace
}  // namespace eidolon::control
