// Admin and I/O commands, and where their data is.
#include <numeric>

#include "storage/nvme_fixture.h"

namespace eidolon::device::storage {
namespace {

using namespace nvme;

class NvmeCommandTest : public NvmeTest {
 protected:
  void start_with_queue(bool read_only = false) {
    start(read_only);
    ASSERT_EQ(create_queues(1), 0u);
  }
  /// DATASET MANAGEMENT of ranges in kData.
  static Command dataset(uint32_t ranges, uint32_t attributes) {
    Command command = {.opcode = kDatasetManagement, .nsid = 1, .prp1 = kData};
    command.words = {ranges - 1, attributes};
    return command;
  }
  void put_range(unsigned index, uint64_t first, uint32_t blocks) {
    poke<uint32_t>(kData + 16 * index, 0);
    poke<uint32_t>(kData + 16 * index + 4, blocks);
    poke<uint64_t>(kData + 16 * index + 8, first);
  }
};

TEST_F(NvmeCommandTest, IdentifiesTheController) {
  start();
  ASSERT_EQ(admin(kIdentify, 1, 0, kData), 0u);
  EXPECT_EQ(peek<uint32_t>(kData + 80), 0x10400u);
  EXPECT_EQ(peek<uint32_t>(kData + 516), 1u) << "namespaces";
  EXPECT_EQ(peek<uint8_t>(kData + 77), 8u) << "transfers of 1 MiB";
  std::array<char, 20> serial{};
  ASSERT_TRUE(memory->read(kData + 4, serial.data(), serial.size()));
  EXPECT_EQ(std::string(serial.data(), 20), "number 7            ");
}

TEST_F(NvmeCommandTest, IdentifiesTheNamespace) {
  start();
  ASSERT_EQ(admin(kIdentify, 0, 0, kData, 1), 0u);
  EXPECT_EQ(peek<uint64_t>(kData), kBlocks);
  EXPECT_EQ(peek<uint8_t>(kData + 130), 9u);
  EXPECT_EQ(peek<uint8_t>(kData + 99), 0u);
  ASSERT_EQ(admin(kIdentify, 2, 0, kData, 0), 0u);
  EXPECT_EQ(peek<uint64_t>(kData), 1u) << "the list";
  ASSERT_EQ(admin(kIdentify, 2, 0, kData, 1), 0u);
  EXPECT_EQ(peek<uint32_t>(kData), 0u) << "none above 1";
  ASSERT_EQ(admin(kIdentify, 3, 0, kData, 1), 0u);
  EXPECT_EQ(peek<uint16_t>(kData), 0x1003u) << "a UUID of 16 bytes";
  EXPECT_EQ(admin(kIdentify, 0, 0, kData, 2), 0x00bu);
  EXPECT_EQ(admin(kIdentify, 0x77, 0, kData, 1), 0x002u);
}

TEST_F(NvmeCommandTest, DataOfAnAdminCommandMayCrossAPage) {
  start();
  Command command = {.opcode = kIdentify, .prp1 = kData + 0x800, .prp2 = kData + 0x4000};
  command.words = {1};
  EXPECT_EQ(run(0, command).status, 0u);
  EXPECT_EQ(peek<uint32_t>(kData + 0x800 + 516), 1u);
  EXPECT_EQ(peek<uint16_t>(kData + 0x4000), 2500u) << "the power state at byte 2048";
  command.prp2 = kData + 0x4008;
  EXPECT_EQ(run(0, command).status, 0x013u);
}

TEST_F(NvmeCommandTest, RefusesQueuesThatCannotBe) {
  start();
  const auto create = [this](uint32_t id, uint32_t size, uint32_t cdw11, uint64_t base) {
    return admin(kCreateCompletion, id | (size - 1) << 16, cdw11, base);
  };
  EXPECT_EQ(create(0, 16, 1, 0x20000), 0x101u);
  EXPECT_EQ(create(kQueues, 16, 1, 0x20000), 0x101u);
  EXPECT_EQ(create(1, 1, 1, 0x20000), 0x102u);
  EXPECT_EQ(create(1, 1025, 1, 0x20000), 0x102u);
  EXPECT_EQ(create(1, 65536, 1, 0x20000), 0x102u);
  EXPECT_EQ(create(1, 16, 0, 0x20000), 0x002u) << "scattered";
  EXPECT_EQ(create(1, 16, 1, 0x20010), 0x013u);
  EXPECT_EQ(create(1, 16, 3 | kQueues << 16, 0x20000), 0x108u) << "no such vector";
  EXPECT_EQ(create(1, 16, 1, 0x20000), 0u);
  EXPECT_EQ(create(1, 16, 1, 0x20000), 0x101u) << "there already";
  EXPECT_EQ(admin(kCreateSubmission, 1 | 15 << 16, 1 | 2 << 16, 0x21000), 0x100u);
  EXPECT_EQ(admin(kCreateSubmission, 1 | 15 << 16, 1 | 0 << 16, 0x21000), 0x101u);
  EXPECT_EQ(admin(kCreateSubmission, 1 | 15 << 16, 1 | 1 << 16, 0x21000), 0u);
  EXPECT_EQ(admin(kDeleteCompletion, 1), 0x10cu) << "in use";
  EXPECT_EQ(admin(kDeleteSubmission, 2), 0x101u);
  EXPECT_EQ(admin(kDeleteSubmission, 0), 0x101u);
  EXPECT_EQ(admin(kDeleteSubmission, 1), 0u);
  EXPECT_EQ(admin(kDeleteCompletion, 1), 0u);
  EXPECT_EQ(admin(kDeleteCompletion, 1), 0x101u);
}

TEST_F(NvmeCommandTest, AnIoQueueOutsideMemoryIsFatalWhenUsed) {
  start();
  pairs[1] = pair_at(1);
  ASSERT_EQ(admin(kCreateCompletion, 1 | 15 << 16, 1, pairs[1].completions), 0u);
  ASSERT_EQ(admin(kCreateSubmission, 1 | 15 << 16, 1 | 1 << 16, 0x4'0000'0000), 0u);
  ring_submission(1, 1);
  EXPECT_TRUE(wait_until([&] { return status() == 3; }));
}

TEST_F(NvmeCommandTest, DeletingAQueueWaitsForItsCommands) {
  start_with_queue();
  medium.hold = true;
  submit(1, transfer(kRead, 0, 1));
  ASSERT_TRUE(wait_until([&] { return medium.waiting == 1; }));
  submit(0, {.opcode = kDeleteSubmission, .id = 9, .words = {1}});
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(has_completion(0));
  medium.hold = false;
  ASSERT_TRUE(complete(1).has_value());
  const std::optional<Completed> done = complete(0);
  ASSERT_TRUE(done.has_value());
  EXPECT_EQ(done->command, 9);
  EXPECT_EQ(done->status, 0u);
}

TEST_F(NvmeCommandTest, FeaturesAreSetAndGot) {
  start();
  ASSERT_EQ(admin(kSetFeatures, 7, 0x0003'0003), 0u);
  EXPECT_EQ(last.result, 31u | 31u << 16);
  EXPECT_EQ(admin(kSetFeatures, 7, 0xffff), 0x002u);
  ASSERT_EQ(admin(kSetFeatures, 0x0b, 0x11f), 0u);
  ASSERT_EQ(admin(kGetFeatures, 0x0b), 0u);
  EXPECT_EQ(last.result, 0x11fu);
  ASSERT_EQ(admin(kSetFeatures, 9, 3 | 1 << 16), 0u);
  ASSERT_EQ(admin(kGetFeatures, 9, 3), 0u);
  EXPECT_EQ(last.result, 3u | 1u << 16);
  EXPECT_EQ(admin(kGetFeatures, 9, 0x1000), 0x002u);
  EXPECT_EQ(admin(kGetFeatures, 0x66), 0x002u);
  EXPECT_EQ(admin(kSetFeatures, 6 | 1u << 31, 1), 0x10du) << "nothing can be saved";
  ASSERT_EQ(create_queues(1), 0u);
  EXPECT_EQ(admin(kSetFeatures, 7, 0), 0x00cu) << "too late";
}

TEST_F(NvmeCommandTest, LogPages) {
  start_with_queue();
  ASSERT_EQ(io(transfer(kRead, 0, 8)), 0u);
  ASSERT_EQ(admin(kGetLogPage, 2 | 127 << 16, 0, kData, kEveryNamespace), 0u);
  EXPECT_EQ(peek<uint64_t>(kData + 32), 1u) << "data units, rounded up";
  EXPECT_EQ(peek<uint64_t>(kData + 64), 1u) << "read commands";
  ASSERT_EQ(admin(kGetLogPage, 3 | 127 << 16, 0, kData), 0u);
  EXPECT_EQ(peek<uint8_t>(kData + 8), '1');
  EXPECT_EQ(admin(kGetLogPage, 0x70, 0, kData), 0x109u);
  EXPECT_EQ(admin(kGetLogPage, 2 | 0xffffu << 16, 0xffff, kData), 0x002u) << "16 GiB";
}

TEST_F(NvmeCommandTest, EventRequestsAreLimitedAndCanBeAborted) {
  start();
  for (uint16_t id = 1; id <= 4; ++id) submit(0, {.opcode = kAsyncEventRequest, .id = id});
  EXPECT_EQ(admin(kAsyncEventRequest), 0x105u);
  submit(0, {.opcode = kAbort, .id = 9, .words = {3u << 16}});
  std::optional<Completed> done = complete(0);
  ASSERT_TRUE(done.has_value());
  EXPECT_EQ(done->command, 3);
  EXPECT_EQ(done->status, 0x007u);
  done = complete(0);
  ASSERT_TRUE(done.has_value());
  EXPECT_EQ(done->result, 0u);
  EXPECT_EQ(admin(kAbort, 77u << 16), 0u);
  EXPECT_EQ(last.result, 1u) << "not aborted";
}

TEST_F(NvmeCommandTest, UnknownCommandsAreRefused) {
  start_with_queue();
  EXPECT_EQ(admin(0x80), 0x001u) << "FORMAT NVM";
  EXPECT_EQ(io(transfer(0x33, 0, 1)), 0x001u);
  Command fused = transfer(kRead, 0, 1);
  fused.flags = 1;
  EXPECT_EQ(io(fused), 0x002u);
  Command sgl = transfer(kRead, 0, 1);
  sgl.flags = 0x40;
  EXPECT_EQ(io(sgl), 0x002u);
}

TEST_F(NvmeCommandTest, ReadsAndWrites) {
  start_with_queue();
  poke<uint64_t>(kData + 512, 0x1122334455667788);
  EXPECT_EQ(io(transfer(kWrite, 4, 2)), 0u);
  uint64_t stored = 0;
  std::memcpy(&stored, &medium.bytes[5 * 512], 8);
  EXPECT_EQ(stored, 0x1122334455667788u);
  EXPECT_EQ(medium.flushes, 0u);
  medium.bytes[9 * 512] = 0x5a;
  EXPECT_EQ(io(transfer(kRead, 9, 1)), 0u);
  EXPECT_EQ(peek<uint8_t>(kData), 0x5a);
}

TEST_F(NvmeCommandTest, ForcedAndUncachedWritesAreFlushed) {
  start_with_queue();
  EXPECT_EQ(io(transfer(kWrite, 0, 1, kData, 0, 1u << 30)), 0u);
  EXPECT_EQ(medium.flushes, 1u);
  ASSERT_EQ(admin(kSetFeatures, 6, 0), 0u);
  EXPECT_EQ(medium.flushes, 2u) << "switching the cache off flushes it";
  EXPECT_EQ(io(transfer(kWrite, 0, 1)), 0u);
  EXPECT_EQ(medium.flushes, 3u);
  EXPECT_EQ(io({.opcode = kFlush, .nsid = kEveryNamespace}), 0u);
  EXPECT_EQ(medium.flushes, 4u);
}

TEST_F(NvmeCommandTest, AListOfPagesScattersData) {
  start_with_queue();
  std::iota(medium.bytes.begin(), medium.bytes.end(), uint8_t{0});
  for (unsigned i = 0; i < 16 * 8; ++i) medium.bytes[i * 512] = static_cast<uint8_t>(i + 1);
  // 16 pages less 512 bytes, into every second page, from the middle of the first.
  for (unsigned i = 0; i < 16; ++i) poke<uint64_t>(kList + 0x10 + 8 * i, kData + 0x2000 * (i + 1));
  EXPECT_EQ(io(transfer(kRead, 0, 127, kData + 0x200, kList + 0x10)), 0u);
  EXPECT_EQ(peek<uint8_t>(kData + 0x200), 1u);
  EXPECT_EQ(peek<uint8_t>(kData + 0xe00), 7u);
  EXPECT_EQ(peek<uint8_t>(kData + 0x2000), 8u);
  EXPECT_EQ(peek<uint8_t>(kData + 0x1000), 0u) << "between them";
  EXPECT_EQ(peek<uint8_t>(kData + 0x2000 * 15 + 0xe00), 127u);
}

TEST_F(NvmeCommandTest, AListGoesOnInAnotherPage) {
  start_with_queue();
  for (unsigned i = 0; i < 8 * 8; ++i) medium.bytes[i * 512] = static_cast<uint8_t>(i + 1);
  // The list begins with the last but one entry of its page: one page of data, then the rest of the list.
  poke<uint64_t>(kList + 0xff0, kData + 0x1000);
  poke<uint64_t>(kList + 0xff8, kList + 0x1000);
  for (unsigned i = 0; i < 6; ++i) poke<uint64_t>(kList + 0x1000 + 8 * i, kData + 0x1000 * (i + 2));
  EXPECT_EQ(io(transfer(kRead, 0, 64, kData, kList + 0xff0)), 0u);
  for (unsigned i = 0; i < 8; ++i) EXPECT_EQ(peek<uint8_t>(kData + 0x1000 * i), i * 8 + 1) << i;
}

TEST_F(NvmeCommandTest, BadListsAreErrorsAndEnd) {
  start_with_queue();
  EXPECT_EQ(io(transfer(kRead, 0, 1, kData + 2)), 0x013u);
  EXPECT_EQ(io(transfer(kRead, 0, 16, kData, kData + 0x10)), 0x013u) << "second page, not at its start";
  EXPECT_EQ(io(transfer(kRead, 0, 64, kData, kList + 4)), 0x013u);
  EXPECT_EQ(io(transfer(kRead, 0, 64, kData, 0x3'0000'0000)), 0x004u) << "a list outside memory";
  poke<uint64_t>(kList, kData + 0x1234);
  EXPECT_EQ(io(transfer(kRead, 0, 64, kData, kList)), 0x013u);
  // A list whose last entry leads to itself: each round brings data, so it ends.
  for (unsigned i = 0; i < 512; ++i) poke<uint64_t>(kList + 8 * i, kData);
  poke<uint64_t>(kList + 0xff8, kList);
  EXPECT_EQ(io(transfer(kRead, 0, 2048, kData, kList + 0xe00)), 0u);
  poke<uint64_t>(kList + 0xff8, kList + 0xff8);
  EXPECT_EQ(io(transfer(kRead, 0, 2048, kData, kList + 0xff8)), 0x013u);
  EXPECT_EQ(io(transfer(kRead, 0, 2049, kData, kList)), 0x002u) << "more than MDTS";
  EXPECT_EQ(io(transfer(kRead, 0, 1, 0xfee00000)), 0x004u) << "no memory";
}

TEST_F(NvmeCommandTest, ComparesDiscardsAndWritesZeroes) {
  start_with_queue();
  medium.bytes[512] = 7;
  EXPECT_EQ(io(transfer(kCompare, 1, 1)), 0x285u);
  poke<uint8_t>(kData, 7);
  EXPECT_EQ(io(transfer(kCompare, 1, 1)), 0u);
  EXPECT_EQ(io(transfer(kWriteZeroes, 1, 1, 0, 0, 1u << 25)), 0u);
  EXPECT_EQ(medium.bytes[512], 0);
  put_range(0, 8, 8);
  put_range(1, 100, 0);
  put_range(2, 24, 1);
  EXPECT_EQ(io(dataset(3, 4)), 0u);
  EXPECT_EQ(medium.discarded, (std::pair<uint64_t, uint64_t>(12288, 512)));
  medium.discarded = {};
  EXPECT_EQ(io(dataset(3, 0)), 0u) << "hints only";
  put_range(2, kBlocks, 1);
  EXPECT_EQ(io(dataset(3, 4)), 0x080u);
  EXPECT_EQ(medium.discarded.second, 0u) << "all or nothing";
}

TEST_F(NvmeCommandTest, WhatCannotBeDoneIsAnError) {
  start_with_queue();
  EXPECT_EQ(io(transfer(kRead, kBlocks, 1)), 0x080u);
  EXPECT_EQ(io(transfer(kRead, kBlocks - 1, 2)), 0x080u);
  EXPECT_EQ(io(transfer(kWriteZeroes, ~uint64_t{0}, 65536)), 0x080u);
  Command nowhere = transfer(kRead, 0, 1);
  nowhere.nsid = 2;
  EXPECT_EQ(io(nowhere), 0x00bu);
  medium.result = IoStatus::kFailed;
  EXPECT_EQ(io(transfer(kRead, 0, 1)), 0x281u);
  EXPECT_EQ(io(transfer(kWrite, 0, 1)), 0x280u);
  EXPECT_EQ(io({.opcode = kFlush, .nsid = 1}), 0x280u);
  medium.result = IoStatus::kNoSpace;
  EXPECT_EQ(io(transfer(kWrite, 0, 1)), 0x081u);
  ASSERT_EQ(admin(kGetLogPage, 2 | 127 << 16, 0, kData, kEveryNamespace), 0u);
  EXPECT_EQ(peek<uint64_t>(kData + 160), 4u) << "media errors";
}

TEST_F(NvmeCommandTest, AReadOnlyMediumIsNotWritten) {
  start_with_queue(true);
  ASSERT_EQ(admin(kIdentify, 0, 0, kData, 1), 0u);
  EXPECT_EQ(peek<uint8_t>(kData + 99), 1u);
  EXPECT_EQ(io(transfer(kWrite, 0, 1)), 0x020u);
  EXPECT_EQ(io(transfer(kWriteZeroes, 0, 1)), 0x020u);
  EXPECT_EQ(io(dataset(1, 4)), 0x020u);
  EXPECT_EQ(io(transfer(kRead, 0, 1)), 0u);
}

TEST_F(NvmeCommandTest, SeveralQueuesWorkAtOnce) {
  start();
  for (unsigned queue = 1; queue <= 4; ++queue) ASSERT_EQ(create_queues(queue), 0u);
  std::array<unsigned, 5> done{};
  for (unsigned round = 0; round < 100; ++round) {
    for (unsigned queue = 1; queue <= 4; ++queue)
      for (unsigned i = 0; i < 8; ++i)
        submit(queue, transfer(kRead, i, 1, kData + 0x1000 * queue + 0x200 * i));
    for (unsigned queue = 1; queue <= 4; ++queue)
      for (unsigned i = 0; i < 8; ++i) done[queue] += complete(queue).has_value() ? 1 : 0;
  }
  EXPECT_EQ(done, (std::array<unsigned, 5>{0, 800, 800, 800, 800}));
}

}  // namespace
}  // namespace eidolon::device::storage
