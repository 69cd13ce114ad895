#include "cpu/linear.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace eidolon::cpu {

namespace {

using mmu::View;

struct IoAccess {
  uint64_t offset;
  unsigned size;
  uint64_t value;
  bool operator==(const IoAccess&) const = default;
};

class Recorder : public memory::IoHandler {
 public:
  uint64_t io_read(uint64_t offset, unsigned size) override {
    log.push_back({offset, size, 0});
    return 0x0807060504030201 + 0x0101010101010101 * offset;  // byte n of the page reads n + 1
  }
  void io_write(uint64_t offset, unsigned size, uint64_t value) override {
    log.push_back({offset, size, value});
  }
  std::vector<IoAccess> log;
};

class CodeLog : public memory::CodeObserver {
 public:
  void code_written(memory::GuestPhysical address, uint64_t length) override {
    log.push_back({address, static_cast<unsigned>(length), 0});
  }
  std::vector<IoAccess> log;
};

/// 1 MiB of RAM, a page of ROM, a page of MMIO; two-level 32-bit page tables, page n of linear memory from
/// kWindow on mapped as a test says.
class Linear : public ::testing::Test {
 protected:
  static constexpr uint64_t kRom = 0x200000, kMmio = 0xfe000000, kDirectory = 0x1000, kTable = 0x2000;
  static constexpr uint64_t kWindow = 0x400000;
  static constexpr uint64_t kFlags = x86::kPtePresent | x86::kPteWritable | x86::kPteUser;

  Linear()
      : memory_(std::move(memory::GuestMemory::create(0x101000).value())),
        cpu_(std::make_unique<Cpu>(Surroundings{*memory_, ports_, mmio_, model_})) {
    EXPECT_TRUE(memory_->add_region(0, 0x100000, memory::RegionKind::kRam));
    EXPECT_TRUE(memory_->add_region(kRom, 0x1000, memory::RegionKind::kRom));
    EXPECT_TRUE(mmio_.attach(kMmio, 0x1000, device_, "recorder"));
    memory_->set_code_observer(&code_);
    cpu_->state.reset();
    cpu_->state.control.cr0 = x86::kCr0Pe | x86::kCr0Pg | x86::kCr0Wp;
    cpu_->state.control.cr3 = kDirectory;
    entry(kDirectory, kWindow >> 22, kTable | kFlags);
    for (unsigned i = 0; i < 0x1000; ++i) pattern_[i] = static_cast<uint8_t>(i * 7 + (i >> 8));
  }

  void entry(uint64_t table, uint64_t index, uint64_t value) {
    ASSERT_TRUE(memory_->load(table + index * 4, &value, 4));
  }
  void map(unsigned page, uint64_t physical, uint64_t flags = kFlags) {
    entry(kTable, page, physical | flags);
    cpu_->mmu.invalidate_page(kWindow + page * 0x1000);
  }
  /// `size` bytes of RAM as the host sees them.
  std::vector<uint8_t> ram(uint64_t physical, unsigned size) {
    std::vector<uint8_t> bytes(size);
    EXPECT_TRUE(memory_->read(physical, bytes.data(), size));
    return bytes;
  }
  std::vector<uint8_t> pattern(unsigned from, unsigned size) const {
    return {pattern_ + from, pattern_ + from + size};
  }
  auto write(uint64_t linear, unsigned size, View view = View::kSupervisor) {
    return write_linear(*cpu_, linear, pattern_, size, view);
  }
  std::vector<uint8_t> read(uint64_t linear, unsigned size) {
    std::vector<uint8_t> bytes(size);
    EXPECT_TRUE(read_linear(*cpu_, linear, bytes.data(), size, View::kSupervisor));
    return bytes;
  }

  memory::IoBus ports_, mmio_;
  CpuidModel model_;
  Recorder device_;
  CodeLog code_;
  std::unique_ptr<memory::GuestMemory> memory_;
  std::unique_ptr<Cpu> cpu_;
  uint8_t pattern_[0x1000];
};

TEST_F(Linear, WritesAndReadsEverySizeAndOffset) {
  map(0, 0x10000);
  map(1, 0x30000);
  for (unsigned size = 1; size <= 80; ++size)
    for (unsigned start = 0x1000 - 80; start < 0x1010; ++start) {
      ASSERT_TRUE(write(kWindow + start, size));
      ASSERT_EQ(read(kWindow + start, size), pattern(0, size)) << size << " at " << start;
    }
}

TEST_F(Linear, CrossingGoesToBothPhysicalPages) {
  map(0, 0x10000);
  map(1, 0x30000);
  ASSERT_TRUE(write(kWindow + 0xffd, 8));
  EXPECT_EQ(ram(0x10ffd, 3), pattern(0, 3));
  EXPECT_EQ(ram(0x30000, 5), pattern(3, 5));
}

TEST_F(Linear, AWholePageUnaligned) {
  map(0, 0x10000);
  map(1, 0x30000);
  ASSERT_TRUE(write(kWindow + 0x123, 4096));
  EXPECT_EQ(ram(0x30000, 0x123), pattern(0x1000 - 0x123, 0x123));
  EXPECT_EQ(read(kWindow + 0x123, 4096), pattern(0, 4096));
}

TEST_F(Linear, FaultInTheSecondPageWritesNothing) {
  map(0, 0x10000);
  const auto before = ram(0x10ff8, 8);
  const auto done = write(kWindow + 0xffc, 8);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().vector, x86::kPageFault);
  EXPECT_EQ(done.error().error, x86::kPfWrite);
  EXPECT_EQ(done.error().address, kWindow + 0x1000);
  EXPECT_EQ(ram(0x10ff8, 8), before);
}

TEST_F(Linear, FaultReportsTheFirstByteInTheFirstPage) {
  map(1, 0x10000);
  const auto done = write(kWindow + 0xffc, 8, View::kUser);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().error, x86::kPfWrite | x86::kPfUser);
  EXPECT_EQ(done.error().address, kWindow + 0xffc);
}

TEST_F(Linear, TemplatesUseTheTlbAndTheSlowPath) {
  map(0, 0x10000);
  map(1, 0x30000);
  ASSERT_TRUE(write_linear<uint64_t>(*cpu_, kWindow + 0xffc, 0x1122334455667788, View::kSupervisor));
  EXPECT_EQ(*read_linear<uint64_t>(*cpu_, kWindow + 0xffc, View::kSupervisor), 0x1122334455667788u);
  EXPECT_NE(cpu_->mmu.tlb().lookup(kWindow, 4, true, View::kSupervisor), nullptr);
  EXPECT_EQ(*read_linear<uint16_t>(*cpu_, kWindow + 0x1000, View::kSupervisor), 0x3344u);
}

TEST_F(Linear, WrapsAt4GiBOutsideLongMode) {
  cpu_->state.control.cr0 = x86::kCr0Pe;
  const uint8_t low[] = {1, 2, 3, 4};
  ASSERT_TRUE(memory_->load(0, low, 4));
  const auto bytes = read(0xfffffffe, 6);  // the first two bytes are nobody's
  EXPECT_EQ(bytes, (std::vector<uint8_t>{0xff, 0xff, 1, 2, 3, 4}));
  EXPECT_EQ(read(0x1'0000'0001, 2), (std::vector<uint8_t>{2, 3}));
}

TEST_F(Linear, MmioAlignedAccessesAreSingle) {
  map(0, kMmio);
  for (const unsigned size : {1u, 2u, 4u, 8u}) {
    device_.log.clear();
    const auto bytes = read(kWindow + 0x40, size);
    EXPECT_EQ(device_.log, (std::vector<IoAccess>{{0x40, size, 0}}));
    EXPECT_EQ(bytes[size - 1], 0x40 + size);
  }
  device_.log.clear();
  ASSERT_TRUE(write_linear<uint32_t>(*cpu_, kWindow + 0x80, 0xcafebabe, View::kSupervisor));
  EXPECT_EQ(device_.log, (std::vector<IoAccess>{{0x80, 4, 0xcafebabe}}));
}

TEST_F(Linear, MmioUnalignedAccessesAreCut) {
  map(0, kMmio);
  EXPECT_EQ(read(kWindow + 3, 8), (std::vector<uint8_t>{4, 5, 6, 7, 8, 9, 10, 11}));
  EXPECT_EQ(device_.log, (std::vector<IoAccess>{{3, 1, 0}, {4, 4, 0}, {8, 2, 0}, {10, 1, 0}}));
  device_.log.clear();
  (void)read(kWindow + 0x10, 16);
  EXPECT_EQ(device_.log, (std::vector<IoAccess>{{0x10, 8, 0}, {0x18, 8, 0}}));
}

TEST_F(Linear, CrossingFromRamIntoMmio) {
  map(0, 0x10000);
  map(1, kMmio);
  ASSERT_TRUE(write_linear<uint64_t>(*cpu_, kWindow + 0xffe, 0x0807060504030201, View::kSupervisor));
  EXPECT_EQ(ram(0x10ffe, 2), (std::vector<uint8_t>{1, 2}));
  EXPECT_EQ(device_.log, (std::vector<IoAccess>{{0, 4, 0x06050403}, {4, 2, 0x0807}}));
}

TEST_F(Linear, UnmappedMmioReadsAllOnes) {
  map(0, 0xfd000000);
  EXPECT_EQ(*read_linear<uint64_t>(*cpu_, kWindow, View::kSupervisor), ~uint64_t{0});
  EXPECT_TRUE(write(kWindow, 64));
}

TEST_F(Linear, RomIgnoresWrites) {
  map(0, kRom);
  const uint32_t value = 0x12345678;
  ASSERT_TRUE(memory_->load(kRom + 8, &value, 4));
  ASSERT_TRUE(write_linear<uint32_t>(*cpu_, kWindow + 8, 0, View::kSupervisor));
  EXPECT_EQ(*read_linear<uint32_t>(*cpu_, kWindow + 8, View::kSupervisor), value);
  ASSERT_TRUE(write_linear<uint32_t>(*cpu_, kWindow + 8, 0, View::kSupervisor));  // also after a TLB fill
  EXPECT_EQ(*read_linear<uint32_t>(*cpu_, kWindow + 8, View::kSupervisor), value);
}

TEST_F(Linear, TellsOfWritesToCodeAndStores) {
  map(0, 0x10000);
  memory_->mark_code(0x10000);
  (void)read(kWindow, 4);
  EXPECT_TRUE(code_.log.empty());
  ASSERT_TRUE(write(kWindow + 0x20, 5));
  EXPECT_EQ(code_.log, (std::vector<IoAccess>{{0x10020, 5, 0}}));
  EXPECT_EQ(ram(0x10020, 5), pattern(0, 5));

  memory_->clear_code(0x10000);
  ASSERT_TRUE(write(kWindow + 0x20, 5));
  EXPECT_EQ(code_.log.size(), 1u);
}

TEST_F(Linear, ProbeRaisesAndSetsDirtyButWritesNothing) {
  map(0, 0x10000);
  map(1, 0x30000, x86::kPtePresent);
  const auto before = ram(0x10000, 8);
  EXPECT_TRUE(probe_write_linear(*cpu_, kWindow, 8, View::kSupervisor));
  EXPECT_EQ(ram(0x10000, 8), before);
  EXPECT_EQ(ram(kTable, 1)[0] & (x86::kPteAccessed | x86::kPteDirty), x86::kPteAccessed | x86::kPteDirty);
  const auto done = probe_write_linear(*cpu_, kWindow + 0xfff, 2, View::kSupervisor);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().error, x86::kPfPresent | x86::kPfWrite);
  EXPECT_EQ(done.error().address, kWindow + 0x1000);
}

TEST_F(Linear, FetchStopsWhereTheNextPageFaults) {
  map(0, 0x10000);
  ASSERT_TRUE(write(kWindow + 0xff8, 8));
  uint8_t bytes[15] = {};
  EXPECT_EQ(*fetch_linear(*cpu_, kWindow + 0xff8, bytes, 15), 8u);
  EXPECT_EQ(std::vector<uint8_t>(bytes, bytes + 8), pattern(0, 8));
  map(1, 0x30000);
  EXPECT_EQ(*fetch_linear(*cpu_, kWindow + 0xff8, bytes, 15), 15u);
}

TEST_F(Linear, FetchFaultsIfNothingCanBeFetched) {
  uint8_t bytes[15];
  const auto done = fetch_linear(*cpu_, kWindow + 7, bytes, 15);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().address, kWindow + 7);
  EXPECT_EQ(done.error().error, 0u);
}

TEST_F(Linear, FetchAtCpl3IsAUserAccess) {
  map(0, 0x10000, x86::kPtePresent);
  uint8_t bytes[15];
  EXPECT_TRUE(fetch_linear(*cpu_, kWindow, bytes, 15));
  cpu_->state.segment[x86::kSs].attributes |= x86::kAttrDpl;
  const auto done = fetch_linear(*cpu_, kWindow, bytes, 15);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().error, x86::kPfPresent | x86::kPfUser);
}

}  // namespace
}  // namespace eidolon::cpu
