#include "engine/kvm/dirty_log.h"

#include <gtest/gtest.h>

#include <set>

#include "kvm/small_machine.h"

namespace eidolon::engine {
namespace {

using kvm::DirtyRun;
using kvm::VirtualMachine;

/// A machine whose slots the test reaches, and code that writes one byte to each address of a list.
class DirtyLogTest : public KvmTest {
 protected:
  void SetUp() override {
    KvmTest::SetUp();
    if (IsSkipped()) return;
    machine_ = std::make_unique<SmallMachine>();
    vm_ = *VirtualMachine::create(machine_->memory());
    engine_ = *KvmEngine::create(machine_->cpu(), vm_);
    machine_->enter_long_mode();
  }

  void write_to(const std::vector<uint32_t>& addresses) {
    std::vector<uint8_t> code;
    for (const uint32_t address : addresses) {
      code.insert(code.end(), {0xc6, 0x04, 0x25});  // mov byte [address], 0x5a
      for (unsigned byte = 0; byte < 4; ++byte) code.push_back(static_cast<uint8_t>(address >> byte * 8));
      code.push_back(0x5a);
    }
    machine_->load(code);
    EXPECT_EQ(engine_->run(), Stop::kRequested);
    for (const uint32_t address : addresses) EXPECT_EQ(machine_->read<uint8_t>(address), 0x5a);
  }

  /// The pages of the data at kData and above; a guest's own tables below are written by the processor when
  /// it likes to.
  std::set<uint64_t> data_pages() {
    std::set<uint64_t> pages;
    const auto sink = [&](const DirtyRun& run) {
      EXPECT_EQ(run.length % 4096, 0u);
      EXPECT_NE(run.length, 0u);
      for (uint64_t offset = 0; offset < run.length; offset += 4096) {
        EXPECT_EQ(machine_->memory().host(run.address + offset, 4096), run.host + offset);
        if (run.address + offset >= SmallMachine::kData) pages.insert(run.address + offset);
      }
    };
    EXPECT_TRUE(vm_->collect_dirty(sink));
    return pages;
  }

  std::unique_ptr<SmallMachine> machine_;
  std::shared_ptr<VirtualMachine> vm_;
  std::unique_ptr<KvmEngine> engine_;
};

TEST_F(DirtyLogTest, TellsThePagesThatTheGuestWrites) {
  ASSERT_TRUE(vm_->log_dirty(true));
  write_to({0x300000, 0x301fff, 0x302000, 0x700010, 0xfff000});
  EXPECT_EQ(data_pages(), (std::set<uint64_t>{0x300000, 0x301000, 0x302000, 0x700000, 0xfff000}));
}

TEST_F(DirtyLogTest, TellsEachWriteOnce) {
  ASSERT_TRUE(vm_->log_dirty(true));
  write_to({0x300000, 0x500000});
  EXPECT_EQ(data_pages().size(), 2u);
  EXPECT_TRUE(data_pages().empty());
  write_to({0x500000});
  EXPECT_EQ(data_pages(), std::set<uint64_t>{0x500000}) << "it is watched again";
}

TEST_F(DirtyLogTest, KnowsNothingOfWhatWasWrittenBefore) {
  write_to({0x300000});
  ASSERT_TRUE(vm_->log_dirty(true));
  EXPECT_TRUE(data_pages().empty());
  write_to({0x300000});
  EXPECT_EQ(data_pages(), std::set<uint64_t>{0x300000});
}

TEST_F(DirtyLogTest, BeginsAnewAfterItWasOff) {
  EXPECT_TRUE(data_pages().empty()) << "off";
  ASSERT_TRUE(vm_->log_dirty(true));
  write_to({0x300000});
  ASSERT_TRUE(vm_->log_dirty(false));
  write_to({0x400000});
  EXPECT_TRUE(data_pages().empty()) << "off";
  ASSERT_TRUE(vm_->log_dirty(true));
  EXPECT_TRUE(data_pages().empty());
  write_to({0x500000});
  EXPECT_EQ(data_pages(), std::set<uint64_t>{0x500000});
}

TEST_F(DirtyLogTest, MemoryThatIsHiddenCountsAsWritten) {
  constexpr uint64_t kShown = 0x8000000, kLength = 0x10000;
  const memory::Region* window = *machine_->memory().add_window(kLength);
  ASSERT_TRUE(machine_->memory().show_window(*window, kShown));
  ASSERT_TRUE(vm_->follow_memory());
  ASSERT_TRUE(vm_->log_dirty(true));
  machine_->memory().hide_window(*window);
  ASSERT_TRUE(vm_->follow_memory());
  std::vector<DirtyRun> runs;
  ASSERT_TRUE(vm_->collect_dirty([&runs](const DirtyRun& run) { runs.push_back(run); }));
  ASSERT_EQ(runs.size(), 1u);
  EXPECT_EQ(runs[0].address, kShown);
  EXPECT_EQ(runs[0].host, window->host);
  EXPECT_EQ(runs[0].length, kLength);
}

TEST_F(DirtyLogTest, MemoryThatIsShownMeanwhileIsWatched) {
  constexpr uint64_t kShown = 0x8000000;
  const memory::Region* window = *machine_->memory().add_window(0x10000);
  ASSERT_TRUE(vm_->log_dirty(true));
  ASSERT_TRUE(machine_->memory().show_window(*window, kShown));
  machine_->cpu().events.raise(cpu::kEventMapChanged);
  write_to({kShown + 0x3000});
  EXPECT_EQ(data_pages(), std::set<uint64_t>{kShown + 0x3000});
}

}  // namespace
}  // namespace eidolon::engine
