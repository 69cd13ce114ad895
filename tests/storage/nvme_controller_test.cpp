// The controller's registers and life: enabling, reset with commands in flight, shutdown, doorbells,
// interrupts, snapshots.
#include "storage/nvme_fixture.h"

namespace eidolon::device::storage {
namespace {

using namespace nvme;

TEST_F(NvmeTest, TellsWhatItIs) {
  start();
  EXPECT_EQ(read(kSlot, pci::kRevision) >> 8, 0x010802u);
  EXPECT_EQ(get(kCap, 8), 0x0040'0020'2801'03ffu);
  EXPECT_EQ(get(kCap + 4, 4), 0x0040'0020u);
  EXPECT_EQ(get(kVersion, 4), 0x00010400u);
  EXPECT_EQ(get(kAdminSubmission, 8), pairs[0].submissions);
  EXPECT_EQ(get(0x1000, 4), 0u) << "doorbells are only written";
}

TEST_F(NvmeTest, ABadConfigurationIsFatal) {
  start();
  const auto try_config = [this](uint32_t config) {
    disable();
    set(kConfig, 4, config);
    return status();
  };
  EXPECT_EQ(try_config(0x460001), 1u);
  EXPECT_EQ(try_config(0x460001 | 5 << 7), 2u) << "pages of 128 KiB";
  EXPECT_EQ(try_config(0x460001 | 1 << 4), 2u) << "another command set";
  disable();
  set(kAdminSizes, 4, 0);
  enable();
  EXPECT_EQ(status(), 2u) << "queues of one entry";
  disable();
  EXPECT_EQ(status(), 0u);
}

TEST_F(NvmeTest, AnAdminQueueOutsideMemoryIsFatal) {
  start();
  disable();
  set(kAdminSubmission, 8, 0x7'ffff'f000);
  enable();
  EXPECT_EQ(status(), 1u);
  ring_submission(0, 1);
  EXPECT_TRUE(wait_until([&] { return status() == 3; }));
  disable();
  EXPECT_EQ(status(), 0u);
  EXPECT_EQ(get(kAdminSubmission, 8), 0x7'ffff'f000u) << "a controller reset keeps it";
}

TEST_F(NvmeTest, ACompletionQueueOutsideMemoryIsFatal) {
  start();
  disable();
  set(kAdminCompletion, 8, 0xfffff000);
  enable();
  submit(0, {.opcode = kIdentify, .prp1 = kData, .words = {1}});
  EXPECT_TRUE(wait_until([&] { return status() == 3; }));
}

TEST_F(NvmeTest, NothingIsFetchedWhileTheFunctionIsNoBusMaster) {
  start();
  write(kSlot, pci::kCommand, 2, 2);
  submit(0, {.opcode = kGetFeatures, .words = {7}});
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(has_completion(0));
  EXPECT_EQ(status(), 1u);
  write(kSlot, pci::kCommand, 2, 6);
  EXPECT_TRUE(complete(0).has_value());
}

TEST_F(NvmeTest, AResetWaitsForWhatIsInFlightAndNothingComesAfter) {
  start();
  ASSERT_EQ(create_queues(1), 0u);
  medium.hold = true;
  submit(1, transfer(kRead, 0, 1));
  ASSERT_TRUE(wait_until([&] { return medium.waiting == 1; }));
  disable();
  EXPECT_EQ(status(), 1u) << "not yet";
  medium.hold = false;
  ASSERT_TRUE(wait_until([&] { return status() == 0; }));
  EXPECT_FALSE(has_completion(1));
  enable();
  EXPECT_EQ(status(), 1u);
}

TEST_F(NvmeTest, EnablingBeforeTheResetIsDoneEnablesAfterwards) {
  start();
  ASSERT_EQ(create_queues(1), 0u);
  medium.hold = true;
  submit(1, transfer(kRead, 0, 1));
  ASSERT_TRUE(wait_until([&] { return medium.waiting == 1; }));
  disable();
  enable();
  medium.hold = false;
  ASSERT_TRUE(wait_until([&] { return medium.waiting == 0; }));
  pairs[0] = pair_at(0);
  ASSERT_TRUE(
      memory->write(pairs[0].completions, std::array<uint8_t, 16 * kEntries>{}.data(), 16 * kEntries));
  EXPECT_EQ(admin(kCreateSubmission, 1 | 7 << 16, 1 | 1 << 16, 0x20000), 0x100u) << "queues are gone";
}

TEST_F(NvmeTest, AFunctionLevelResetEndsEverything) {
  start();
  ASSERT_EQ(create_queues(1), 0u);
  medium.hold = true;
  submit(1, transfer(kRead, 0, 1));
  ASSERT_TRUE(wait_until([&] { return medium.waiting == 1; }));
  std::thread releaser([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    medium.hold = false;
  });
  controller->reset();
  releaser.join();
  EXPECT_EQ(read(kSlot, pci::kCommand, 2), 0u);
  write(kSlot, pci::kCommand, 2, 2);
  ASSERT_TRUE(pci::place(root, bridge, lpc, kWindows));
  EXPECT_EQ(get(kConfig, 4), 0u);
  EXPECT_EQ(get(kAdminSubmission, 8), 0u);
}

TEST_F(NvmeTest, AShutdownFlushes) {
  start();
  set(kConfig, 4, 0x460001 | 1 << 14);
  EXPECT_TRUE(wait_until([&] { return (status() & 0xc) == 8; }));
  EXPECT_EQ(medium.flushes, 1u);
  disable();
  EXPECT_EQ(status(), 0u);
}

TEST_F(NvmeTest, InvalidDoorbellsAreToldOnceUntilTheLogIsRead) {
  start();
  submit(0, {.opcode = kAsyncEventRequest, .id = 1});
  submit(0, {.opcode = kAsyncEventRequest, .id = 2});
  ASSERT_EQ(admin(kGetFeatures, 7), 0u);
  for (unsigned i = 0; i < 1000; ++i) ring_submission(9, i);
  std::optional<Completed> event = complete(0);
  ASSERT_TRUE(event.has_value());
  EXPECT_EQ(event->command, 1);
  EXPECT_EQ(event->result, 0x010000u) << "error, write to an invalid doorbell register, log page 1";
  ring_submission(0, kEntries);
  ASSERT_EQ(admin(kGetLogPage, 1 | 15 << 16, 0, kData), 0u);
  EXPECT_EQ(peek<uint64_t>(kData), 1u) << "one entry, however many writes";
  ring_submission(0, kEntries);
  event = complete(0);
  ASSERT_TRUE(event.has_value());
  EXPECT_EQ(event->command, 2);
  EXPECT_EQ(event->result, 0x010100u) << "invalid doorbell value";
}

TEST_F(NvmeTest, AHeadBeyondTheCompletionsIsInvalid) {
  start();
  submit(0, {.opcode = kAsyncEventRequest, .id = 1});
  ASSERT_EQ(admin(kGetFeatures, 7), 0u);
  ring_completion(0, 5);
  const std::optional<Completed> event = complete(0);
  ASSERT_TRUE(event.has_value());
  EXPECT_EQ(event->result, 0x010100u);
}

TEST_F(NvmeTest, ATailThatPassesTheHeadIsInvalid) {
  start();
  ASSERT_EQ(create_queues(1), 0u);
  write(kSlot, pci::kCommand, 2, 2);  // nothing is fetched
  ring_submission(1, 10);
  ring_submission(1, 5);
  write(kSlot, pci::kCommand, 2, 6);
  for (unsigned i = 0; i < 10; ++i) ASSERT_TRUE(complete(1).has_value());
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_FALSE(has_completion(1));
}

TEST_F(NvmeTest, EachQueueHasItsMessage) {
  start();
  use_messages();
  ASSERT_EQ(create_queues(2), 0u);
  while (local.interrupt_pending()) {
    EXPECT_EQ(local.acknowledge(), kFirstVector);
    finish_interrupt();
  }
  EXPECT_EQ(io(transfer(kRead, 0, 1), 2), 0u);
  ASSERT_TRUE(wait_until([&] { return local.interrupt_pending(); }));
  EXPECT_EQ(local.acknowledge(), kFirstVector + 2);
}

TEST_F(NvmeTest, TheWireIsUpWhileCompletionsWait) {
  start();
  const unsigned pin = 16 + pci::Pirq::line_of(kSlot, 0);
  route_pin(pin, 0xa000 | 0x61);
  submit(0, {.opcode = kGetFeatures, .words = {7}});
  ASSERT_TRUE(wait_until([&] { return local.interrupt_pending(); }));
  EXPECT_EQ(local.acknowledge(), 0x61);
  EXPECT_NE(read(kSlot, pci::kStatus, 2) & pci::kStatusInterrupt, 0u);
  set(kMaskSet, 4, 1);
  EXPECT_EQ(read(kSlot, pci::kStatus, 2) & pci::kStatusInterrupt, 0u);
  set(kMaskClear, 4, 1);
  EXPECT_NE(read(kSlot, pci::kStatus, 2) & pci::kStatusInterrupt, 0u);
  ASSERT_TRUE(complete(0).has_value());
  EXPECT_EQ(read(kSlot, pci::kStatus, 2) & pci::kStatusInterrupt, 0u);
}

TEST_F(NvmeTest, AFullCompletionQueueHoldsCommandsBack) {
  start();
  ASSERT_EQ(create_queues(1, 4), 0u);
  // Each to a block of its own: they are under way together.
  for (unsigned i = 0; i < 3; ++i) poke(pairs[1].submissions + i * 64, transfer(kWrite, i, 1));
  ring_submission(1, 3);
  ASSERT_TRUE(wait_until([&] { return phase_at(pairs[1].completions + 2 * 16); }));
  poke(pairs[1].submissions + 3 * 64, transfer(kWrite, 3, 1));
  ring_submission(1, 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(phase_at(pairs[1].completions + 3 * 16));
  ring_completion(1, 1);
  EXPECT_TRUE(wait_until([&] { return phase_at(pairs[1].completions + 3 * 16); }));
}

TEST_F(NvmeTest, ASnapshotCarriesQueuesAndFeatures) {
  start();
  ASSERT_EQ(create_queues(1), 0u);
  ASSERT_EQ(admin(kSetFeatures, 6, 0), 0u);
  ASSERT_EQ(io(transfer(kRead, 0, 1)), 0u);
  StateWriter writer;
  controller->save(writer);
  controller->reset();
  StateReader reader(writer.bytes());
  controller->load(reader);
  ASSERT_FALSE(reader.failed());
  EXPECT_EQ(status(), 1u);
  EXPECT_EQ(io(transfer(kRead, 0, 1)), 0u);
  ASSERT_EQ(admin(kGetFeatures, 6), 0u);
  EXPECT_EQ(last.result, 0u);
}

TEST_F(NvmeTest, ADamagedSnapshotIsRefused) {
  start();
  ASSERT_EQ(create_queues(1), 0u);
  StateWriter writer;
  controller->save(writer);
  const std::vector<uint8_t>& whole = writer.bytes();
  for (size_t at = 0; at < whole.size(); at += 7) {
    std::vector<uint8_t> bytes = whole;
    bytes[at] ^= 0xff;
    StateReader reader(bytes);
    controller->load(reader);
    StateReader again(whole);
    controller->load(again);
    ASSERT_FALSE(again.failed()) << at;
  }
  EXPECT_EQ(io(transfer(kRead, 0, 1)), 0u);
}

}  // namespace
}  // namespace eidolon::device::storage
