// An NVMe controller on the bus of the PCI tests, and a driver that sets it up as the specification says.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <thread>

#include "device/storage/nvme_controller.h"
#include "pci/fixture.h"
#include "storage/memory_medium.h"

namespace eidolon::device::storage {

class NvmeTest : public pci::PciTest {
 protected:
  static constexpr unsigned kSlot = 5;
  static constexpr uint64_t kDiskBytes = 4 << 20;
  static constexpr uint64_t kBlocks = kDiskBytes / 512;
  static constexpr uint32_t kEntries = 16;
  static constexpr GuestPhysical kQueueMemory = 0x10000, kData = 0x60000, kList = 0x50000;
  static constexpr uint8_t kFirstVector = 0x50;

  struct Completed {
    uint16_t command;
    uint32_t result;
    unsigned status;  ///< code and code type, without "do not retry"
    uint16_t submission_head;
  };
  /// The driver's side of a pair of queues.
  struct Pair {
    GuestPhysical submissions, completions;
    uint32_t tail = 0, head = 0;
    bool phase = true;
  };

  void start(bool read_only = false) {
    medium.is_read_only = read_only;
    controller = std::make_unique<NvmeController>("nvme", medium, "number 7");
    root.add(kSlot, 0, *controller);
    ASSERT_TRUE(pci::place(root, bridge, lpc, kWindows));
    write(kSlot, pci::kCommand, 2, 6);
    bar = read(kSlot, 0x10) & ~15u;
    table = read(kSlot, 0x20) & ~15u;
    pairs[0] = pair_at(0);
    set(nvme::kAdminSizes, 4, (kEntries - 1) << 16 | (kEntries - 1));
    set(nvme::kAdminSubmission, 8, pairs[0].submissions);
    set(nvme::kAdminCompletion, 8, pairs[0].completions);
    enable();
    ASSERT_EQ(status(), 1u);
  }
  ~NvmeTest() override { medium.hold = false; }

  static Pair pair_at(unsigned number) {
    const GuestPhysical base = kQueueMemory + number * 0x2000;
    return {.submissions = base, .completions = base + 0x1000};
  }
  uint64_t get(uint64_t offset, unsigned size) { return mmio.read(bar + offset, size); }
  void set(uint64_t offset, unsigned size, uint64_t value) { mmio.write(bar + offset, size, value); }
  uint32_t status() { return static_cast<uint32_t>(get(nvme::kStatus, 4)); }
  void enable() { set(nvme::kConfig, 4, 0x460001); }
  void disable() { set(nvme::kConfig, 4, 0x460000); }
  void ring_submission(unsigned queue, uint32_t tail) { set(0x1000 + 8 * queue, 4, tail); }
  void ring_completion(unsigned queue, uint32_t head) { set(0x1004 + 8 * queue, 4, head); }

  /// MSI-X for every queue.
  void use_messages() {
    for (unsigned i = 0; i < 4; ++i) {
      mmio.write(table + 16 * i, 4, 0xfee00000);
      mmio.write(table + 16 * i + 8, 4, kFirstVector + i);
      mmio.write(table + 16 * i + 12, 4, 0);
    }
    unsigned at = read(kSlot, pci::kCapabilities, 1);
    while (read(kSlot, at, 1) != pci::kCapabilityMsiX) at = read(kSlot, at + 1, 1);
    write(kSlot, at + 2, 2, 0x8000);
  }

  void submit(unsigned queue, nvme::Command command) {
    Pair& pair = pairs[queue];
    poke(pair.submissions + pair.tail * sizeof command, command);
    pair.tail = (pair.tail + 1) % kEntries;
    ring_submission(queue, pair.tail);
  }
  /// Waits for the next completion and takes it.
  std::optional<Completed> complete(unsigned queue) {
    Pair& pair = pairs[queue];
    const GuestPhysical at = pair.completions + pair.head * 16;
    if (!wait_until([&] { return phase_at(at) == pair.phase; })) return std::nullopt;
    const auto entry = peek<nvme::Completion>(at);
    if (++pair.head == kEntries) {
      pair.head = 0;
      pair.phase = !pair.phase;
    }
    ring_completion(queue, pair.head);
    return Completed{.command = entry.command,
                     .result = entry.result,
                     .status = entry.status >> 1 & 0x7ffu,
                     .submission_head = entry.submission_head};
  }
  bool has_completion(unsigned queue) {
    const Pair& pair = pairs[queue];
    return phase_at(pair.completions + pair.head * 16) == pair.phase;
  }
  /// The phase tag of a completion queue entry. The controller's threads write it last, and at once.
  bool phase_at(GuestPhysical entry) {
    const auto* word = reinterpret_cast<const uint32_t*>(memory->host(entry + 12, 4));
    return (__atomic_load_n(word, __ATOMIC_ACQUIRE) >> 16 & 1) != 0;
  }
  Completed run(unsigned queue, nvme::Command command) {
    command.id = next_id++;
    submit(queue, command);
    const std::optional<Completed> done = complete(queue);
    EXPECT_TRUE(done.has_value());
    if (!done) return {.command = 0, .result = 0, .status = 0x7ff, .submission_head = 0};
    EXPECT_EQ(done->command, command.id);
    return *done;
  }
  unsigned admin(uint8_t opcode, uint32_t cdw10 = 0, uint32_t cdw11 = 0, uint64_t prp1 = 0,
                 uint32_t nsid = 0) {
    nvme::Command command = {.opcode = opcode, .nsid = nsid, .prp1 = prp1};
    command.words = {cdw10, cdw11};
    last = run(0, command);
    return last.status;
  }
  unsigned create_queues(unsigned number, uint32_t entries = kEntries) {
    pairs[number] = pair_at(number);
    const uint32_t cdw10 = number | (entries - 1) << 16;
    const unsigned status =
        admin(nvme::kCreateCompletion, cdw10, 3 | number << 16, pairs[number].completions);
    if (status != 0) return status;
    return admin(nvme::kCreateSubmission, cdw10, 1 | number << 16, pairs[number].submissions);
  }
  static nvme::Command transfer(uint8_t opcode, uint64_t block, uint32_t blocks, uint64_t prp1 = kData,
                                uint64_t prp2 = 0, uint32_t flags = 0) {
    nvme::Command command = {.opcode = opcode, .nsid = 1, .prp1 = prp1, .prp2 = prp2};
    command.words = {static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), (blocks - 1) | flags};
    return command;
  }
  unsigned io(const nvme::Command& command, unsigned queue = 1) { return run(queue, command).status; }

  MemoryMedium medium{kDiskBytes};
  std::unique_ptr<NvmeController> controller;
  std::array<Pair, 5> pairs{};
  uint64_t bar = 0;
  uint64_t table = 0;
  uint16_t next_id = 0x100;
  Completed last{};
};

}  // namespace eidolon::device::storage
