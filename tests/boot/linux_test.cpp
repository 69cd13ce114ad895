#include "boot/linux.h"

#include "boot/boot_machine.h"
#include "boot/flat_state.h"
#include "boot/linux_header.h"

namespace eidolon::boot {

namespace {

using namespace linux_header;

class Linux : public BootMachine {
 protected:
  Linux() : kernel_(0x400 + 0x2000, 0xcc) {
    std::fill_n(kernel_.begin(), 0x400, 0);
    put<uint8_t>(kernel_, kSetupSectors, 1);
    put<uint32_t>(kernel_, kSystemSize, 0x200);
    put<uint16_t>(kernel_, kBootFlag, kBootFlagValue);
    put<uint8_t>(kernel_, kJumpDistance, 0x6a);
    put<uint32_t>(kernel_, kMagic, kMagicValue);
    put<uint16_t>(kernel_, kVersion, 0x20f);
    put<uint8_t>(kernel_, kLoadFlags, kLoadedHigh);
    put<uint32_t>(kernel_, kInitrdMax, 0x7fffffff);
    put<uint8_t>(kernel_, kRelocatable, 1);
    put<uint16_t>(kernel_, kXLoadFlags, kXlfKernel64);
    put<uint32_t>(kernel_, kCommandLineSize, 64);
    put<uint64_t>(kernel_, kPreferredAddress, 0x1000000);
    put<uint32_t>(kernel_, kInitSize, 0x100000);
  }
  std::vector<uint8_t> kernel_;
};

TEST_F(Linux, EntersBy64BitProtocol) {
  input_.command_line = "console=ttyS0";
  input_.rsdp = 0xe0000;
  ASSERT_EQ(error(kernel_), "");
  EXPECT_EQ(state_.rip, 0x1000200u);
  EXPECT_TRUE(state_.long_code());
  EXPECT_EQ(state_.segment[x86::kCs].selector, kBootCs);
  EXPECT_EQ(state_.segment[x86::kSs].selector, kBootDs);
  EXPECT_EQ(state_.rflags, x86::kFlagFixed);
  const uint64_t params = state_.gpr[x86::kRsi];
  EXPECT_EQ(text(at<uint32_t>(params + kCommandLinePointer)), "console=ttyS0");
  EXPECT_EQ(at<uint64_t>(params + kAcpiRsdp), 0xe0000u);
  EXPECT_EQ(at<uint32_t>(params + kMagic), kMagicValue);
  EXPECT_EQ(at<uint8_t>(params + kLoaderType), 0xff);
  EXPECT_EQ(at<uint8_t>(0x1000000), 0xcc);
  EXPECT_EQ(at<uint64_t>(kPageTables + 0x2000 + 8 * 9) & ~0xfffull, 9u << 21);  // identity
}

TEST_F(Linux, EntersBy32BitProtocolOnRequestAndIfThereIsNoOther) {
  input_.force_32bit = true;
  ASSERT_EQ(error(kernel_), "");
  EXPECT_EQ(state_.rip, 0x1000000u);
  EXPECT_FALSE(state_.control.paging());
  EXPECT_NE(state_.segment[x86::kCs].attributes & x86::kAttrBig, 0u);

  input_.force_32bit = false;
  put<uint16_t>(kernel_, kXLoadFlags, 0);
  ASSERT_EQ(error(kernel_), "");
  EXPECT_EQ(state_.rip, 0x1000000u);
  EXPECT_EQ(state_.gpr[x86::kRsi], kBootParams);
}

TEST_F(Linux, ShowsTheMemoryMap) {
  ASSERT_EQ(error(kernel_), "");
  ASSERT_EQ(at<uint8_t>(kBootParams + kE820Count), 3);
  EXPECT_EQ(at<uint64_t>(kBootParams + kE820Table + 8), 0xa0000u);
  EXPECT_EQ(at<uint32_t>(kBootParams + kE820Table + 20 + 16), MapEntry::kReserved);
  EXPECT_EQ(at<uint64_t>(kBootParams + kE820Table + 40), 0x100000u);
  EXPECT_EQ(at<uint64_t>(kBootParams + kE820Table + 48), (64u << 20) - 0x100000);
}

TEST_F(Linux, PutsTheInitrdHigh) {
  const std::vector<uint8_t> initrd(5000, 0x5a);
  input_.modules.push_back({initrd, ""});
  ASSERT_EQ(error(kernel_), "");
  const auto base = at<uint32_t>(kBootParams + kRamdiskImage);
  EXPECT_EQ(base, (64u << 20) - 0x2000);
  EXPECT_EQ(at<uint32_t>(kBootParams + kRamdiskSize), 5000u);
  EXPECT_EQ(at<uint8_t>(base + 4999), 0x5a);

  put<uint32_t>(kernel_, kInitrdMax, 0x1ffffff);
  ASSERT_EQ(error(kernel_), "");
  EXPECT_EQ(at<uint32_t>(kBootParams + kRamdiskImage), 0x2000000u - 0x2000);
}

TEST_F(Linux, RefusesWhatDoesNotFit) {
  const std::vector<uint8_t> initrd(48 << 20);
  input_.modules.push_back({initrd, ""});
  EXPECT_NE(error(kernel_).find("initrd"), std::string::npos);
  input_.modules.clear();
  input_.command_line = std::string(65, 'x');
  EXPECT_NE(error(kernel_).find("65 bytes"), std::string::npos);
  input_.command_line.pop_back();
  EXPECT_EQ(error(kernel_), "");
  put<uint32_t>(kernel_, kInitSize, 0xffffffff);
  EXPECT_NE(error(kernel_).find("--memory"), std::string::npos);
}

TEST_F(Linux, RefusesOldAndTruncatedKernels) {
  std::vector<uint8_t> cut(kernel_.begin(), kernel_.begin() + 0x1000);
  EXPECT_NE(error(cut).find("truncated"), std::string::npos);
  put<uint16_t>(kernel_, kVersion, 0x201);
  EXPECT_NE(error(kernel_).find("older"), std::string::npos);
}

TEST_F(Linux, SurvivesAnyHeader) {
  const std::vector<uint8_t> good = kernel_;
  uint32_t random = 1;
  for (unsigned i = 0; i < 3000; ++i) {
    kernel_ = good;
    for (unsigned flips = 0; flips < 4; ++flips) {
      random = random * 1664525 + 1013904223;
      kernel_[kHeader + (random >> 8) % 0x80] ^= static_cast<uint8_t>(random >> 24);
    }
    const auto result = load(kernel_);
    EXPECT_TRUE(result || !result.error().message.empty());
  }
}

}  // namespace
}  // namespace eidolon::boot
