// Configuration space: identity, masks, the two ways to it, BARs, capabilities.
#include <set>

#include "pci/fixture.h"

namespace eidolon::device::pci {
namespace {

TEST_F(PciTest, FunctionsAnswerWithTheirIdentityAndNobodyWithOnes) {
  EXPECT_EQ(read(0, 0), 0x29c08086u);
  EXPECT_EQ(read(0x1f, 0), 0x29188086u);
  EXPECT_EQ(read(kSample, 0), 0x56781234u);
  EXPECT_EQ(read(kSample, 8), 0x02000000u);
  EXPECT_EQ(read(kSample, 0x2e, 2), 7u);
  EXPECT_EQ(read(5, 0), 0xffffffffu);
  EXPECT_EQ(read(5, 0, 2), 0xffffu);
  EXPECT_EQ(root.config_read(1, 0, 0, 4), 0xffffffffu) << "there is no bus 1";
}

/// The machine is not to be then.
TEST_F(PciTest, AFullBusTakesNoMore) {
  std::vector<std::unique_ptr<SampleDevice>> more;
  while (root.free_device() < 32)
    root.add(root.free_device(), 0, *more.emplace_back(std::make_unique<SampleDevice>()));
  const size_t all = root.places().size();
  EXPECT_EQ(all, 32u);
  EXPECT_EQ(root.left_out(), 0u) << "a bus that is just full";
  SampleDevice one_more;
  root.add(root.free_device(), 0, one_more);
  EXPECT_EQ(root.places().size(), all);
  EXPECT_EQ(root.left_out(), 1u);
  EXPECT_EQ(read(0x1f, 0), 0x29188086u) << "what was there is there";
}

TEST_F(PciTest, ReadOnlyBitsStayAndErrorBitsAreClearedByOnes) {
  write(kSample, 0, 4, 0);
  EXPECT_EQ(read(kSample, 0), 0x56781234u);
  write(kSample, kCommand, 2, 0xffff);
  EXPECT_EQ(read(kSample, kCommand, 2), 0x0547u);
  write(kSample, kInterruptLine, 1, 11);
  EXPECT_EQ(read(kSample, kInterruptLine, 2), 0x010bu);
}

TEST_F(PciTest, AccessesOfEverySizeAndAcrossFieldsAgree) {
  EXPECT_EQ(read(kSample, 1, 2), 0x7812u);
  EXPECT_EQ(read(kSample, 3, 1), 0x56u);
  EXPECT_EQ(read(kSample, 4094, 4), 0xffff0000u) << "beyond the end";
  write(kSample, 4094, 4, 0xffffffff);
}

TEST_F(PciTest, PortsReachConfigurationSpace) {
  ports.write(0xcf8, 4, 0x80000000 | kSample << 11);
  EXPECT_EQ(ports.read(0xcf8, 4), 0x80000000u | kSample << 11);
  EXPECT_EQ(ports.read(0xcfc, 4), 0x56781234u);
  EXPECT_EQ(ports.read(0xcfe, 2), 0x5678u);
  EXPECT_EQ(ports.read(0xcff, 1), 0x56u);
  ports.write(0xcf8, 4, 0x80000000 | kSample << 11 | kInterruptLine);
  ports.write(0xcfc, 1, 9);
  EXPECT_EQ(read(kSample, kInterruptLine, 1), 9u);
}

TEST_F(PciTest, WithoutTheEnableBitThePortsAnswerOnes) {
  ports.write(0xcf8, 4, kSample << 11);
  EXPECT_EQ(ports.read(0xcfc, 4), 0xffffffffu);
}

TEST_F(PciTest, TheResetRegisterSharesTheAddressPorts) {
  ports.write(0xcf8, 4, 0x80000600);
  EXPECT_FALSE(reset_byte.written) << "a write of the address is none of the reset register";
  ports.write(0xcf9, 1, 6);
  EXPECT_EQ(reset_byte.written, 6u);
  EXPECT_EQ(ports.read(0xcf9, 1), 0x5au);
  EXPECT_EQ(ports.read(0xcf8, 4), 0x80000600u);
}

TEST_F(PciTest, TheMemoryWindowReachesAllOfIt) {
  bridge.enable_window(kWindow);
  EXPECT_EQ(mmio.read(kWindow + (kSample << 15), 4), 0x56781234u);
  EXPECT_EQ(mmio.read(kWindow + (kSample << 15), 8), 0x56781234u | uint64_t{read(kSample, 4)} << 32);
  EXPECT_EQ(mmio.read(kWindow + (1 << 20), 4), 0xffffffffu);
  mmio.write(kWindow + (kSample << 15) + kInterruptLine, 1, 12);
  EXPECT_EQ(read(kSample, kInterruptLine, 1), 12u);
}

TEST_F(PciTest, TheMemoryWindowMovesAndCloses) {
  bridge.enable_window(kWindow);
  write(0, 0x60, 4, 0xb0000001);
  EXPECT_EQ(mmio.read(kWindow + (kSample << 15), 4), 0xffffffffu);
  EXPECT_EQ(mmio.read(0xb0000000 + (kSample << 15), 4), 0x56781234u);
  write(0, 0x60, 4, 0xb0000000);
  EXPECT_EQ(mmio.read(0xb0000000 + (kSample << 15), 4), 0xffffffffu);
}

TEST_F(PciTest, BarsTellTheirSizeAndKind) {
  for (const unsigned offset : {0x10u, 0x14u, 0x18u, 0x1cu}) write(kSample, offset, 4, 0xffffffff);
  EXPECT_EQ(read(kSample, 0x10), 0xffffffe1u);
  EXPECT_EQ(read(kSample, 0x14), 0xfffff000u);
  EXPECT_EQ(read(kSample, 0x18), 0xfff0000cu);
  EXPECT_EQ(read(kSample, 0x1c), 0xffffffffu);
  write(kSample, 0x24, 4, 0xffffffff);
  EXPECT_EQ(read(kSample, 0x24), 0u) << "no BAR there";
}

TEST_F(PciTest, BarsAnswerOnlyWhenEnabledAndWhereTheyAre) {
  write(kSample, 0x10, 4, 0xc000);
  write(kSample, 0x14, 4, 0xc0000000);
  EXPECT_EQ(ports.read(0xc004, 1), 0xffu);
  EXPECT_EQ(mmio.read(0xc0000008, 4), 0xffffffffu);
  write(kSample, kCommand, 2, kCommandMemory);
  EXPECT_EQ(ports.read(0xc004, 1), 0xffu);
  EXPECT_EQ(mmio.read(0xc0000008, 8), 0x1122334455667708u);
  write(kSample, kCommand, 2, kCommandIo);
  EXPECT_EQ(ports.read(0xc004, 4), 0x55667704u);
  EXPECT_EQ(mmio.read(0xc0000008, 4), 0xffffffffu);
}

TEST_F(PciTest, BarsMove) {
  write(kSample, kCommand, 2, kCommandMemory);
  write(kSample, 0x14, 4, 0xc0000000);
  write(kSample, 0x14, 4, 0xc4000000);
  EXPECT_EQ(mmio.read(0xc0000000, 1), 0xffu);
  mmio.write(0xc4000010, 4, 99);
  EXPECT_EQ(sample.written[0x10], 99u);
}

TEST_F(PciTest, A64BitBarReachesAbove4GiB) {
  write(kSample, kCommand, 2, kCommandMemory);
  write(kSample, 0x18, 4, 0);
  write(kSample, 0x1c, 4, 8);
  EXPECT_EQ(mmio.read(0x8'000f'fff8, 4), 0x55667700u + 0xffff8);
}

TEST_F(PciTest, OverlapIsCalmAndAnAccessAcrossAnEndIsTakenApart) {
  SampleDevice other("other");
  root.add(4, 0, other);
  for (const unsigned device : {kSample, 4u}) {
    write(device, 0x14, 4, 0xc0000000);
    write(device, kCommand, 2, kCommandMemory);
  }
  mmio.write(0xc0000000, 4, 1);
  EXPECT_EQ(sample.written.size() + other.written.size(), 1u);
  EXPECT_EQ(mmio.read(0xc0000ffe, 4) >> 16, 0xffffu) << "half of it is nowhere";
  write(kSample, 0x14, 4, 0xd0000000);
  mmio.write(0xc0000004, 4, 2);
  EXPECT_EQ(other.written[4], 2u);
}

TEST_F(PciTest, BoardDevicesHidePciOnes) {
  class Fixed final : public memory::IoHandler {
    uint64_t io_read(uint64_t /*offset*/, unsigned /*size*/) override { return 0x77; }
    void io_write(uint64_t /*offset*/, unsigned /*size*/, uint64_t /*value*/) override {}
  } fixed;
  ASSERT_TRUE(mmio.attach(0xc0000100, 4, fixed, "fixed"));
  write(kSample, 0x14, 4, 0xc0000000);
  write(kSample, kCommand, 2, kCommandMemory);
  EXPECT_EQ(mmio.read(0xc0000100, 1), 0x77u);
  EXPECT_EQ(mmio.read(0xc00000ff, 2), 0x7700u | 0xff) << "one byte of each";
}

TEST_F(PciTest, CapabilitiesFormAListWithoutALoop) {
  EXPECT_NE(read(kSample, kStatus, 2) & kStatusCapabilities, 0u);
  std::set<unsigned> ids;
  for (unsigned at = read(kSample, kCapabilities, 1); at != 0; at = read(kSample, at + 1, 1))
    ASSERT_TRUE(ids.insert(read(kSample, at, 1)).second);
  EXPECT_EQ(ids, (std::set<unsigned>{kCapabilityPower, kCapabilityMsi, kCapabilityExpress, kCapabilityMsiX}));
}

TEST_F(PciTest, FunctionsOfOneDeviceSaySo) {
  EXPECT_EQ(read(kSample, kHeaderType, 1), 0u);
  SampleDevice second("second");
  root.add(kSample, 2, second);
  EXPECT_EQ(read(kSample, kHeaderType, 1), 0x80u);
  EXPECT_EQ(root.config_read(0, kSample << 3 | 2, kHeaderType, 1), 0x80u);
}

TEST_F(PciTest, PlacementGivesEveryBarAnAddressOfItsOwn) {
  ASSERT_TRUE(place(root, bridge, lpc, kWindows));
  const uint32_t port = read(kSample, 0x10) & ~3u, low = read(kSample, 0x14),
                 large = read(kSample, 0x18) & ~15u;
  EXPECT_EQ(port, 0xc000u);
  EXPECT_EQ(low % SampleDevice::kMemoryBytes, 0u);
  EXPECT_EQ(large % SampleDevice::kLargeBytes, 0u);
  EXPECT_EQ(mmio.read(low + 4, 4), 0x55667704u);
  EXPECT_EQ(mmio.read(large + 0x2000, 4), 0x55669700u);
  EXPECT_EQ(mmio.read(kWindow, 4), 0x29c08086u);
  EXPECT_EQ(read(kSample, kInterruptLine, 1), irq_of_line(kSample % 4));
  EXPECT_EQ(read(0x1f, 0x60), 0x0b0b0a0au);
}

TEST_F(PciTest, PlacementSaysWhichDeviceFindsNoRoom) {
  Windows narrow = kWindows;
  narrow.memory32.end = narrow.memory32.base + 0x1000;
  narrow.memory64.end = narrow.memory64.base + 0x1000;
  const Result<> placed = place(root, bridge, lpc, narrow);
  ASSERT_FALSE(placed);
  EXPECT_NE(placed.error().message.find("sample"), std::string::npos);
}

TEST_F(PciTest, ALargeBarGoesAbove4GiBWhenThereIsNoRoomBelow) {
  Windows narrow = kWindows;
  narrow.memory32.end = narrow.memory32.base + 0x4000;
  ASSERT_TRUE(place(root, bridge, lpc, narrow));
  EXPECT_EQ(read(kSample, 0x1c), 4u);
  EXPECT_EQ(mmio.read(0x4'0000'0000, 4), 0x55667700u);
}

TEST_F(PciTest, D3AnswersNothingButConfiguration) {
  ASSERT_TRUE(place(root, bridge, lpc, kWindows));
  write(kSample, kCommand, 2, 7);
  const uint32_t low = read(kSample, 0x14);
  const unsigned power = capability(kCapabilityPower);
  write(kSample, power + 4, 2, 3);
  EXPECT_EQ(mmio.read(low, 4), 0xffffffffu);
  EXPECT_FALSE(sample.dma().enabled());
  EXPECT_EQ(read(kSample, 0), 0x56781234u);
  write(kSample, power + 4, 2, 0);
  EXPECT_EQ(mmio.read(low, 4), 0x55667700u) << "no soft reset: the BAR is where it was";
  write(kSample, power + 4, 2, 1);
  EXPECT_EQ(read(kSample, power + 4, 2) & 3, 0u) << "D1 is not offered";
}

TEST_F(PciTest, FunctionLevelResetResetsDeviceAndRegisters) {
  ASSERT_TRUE(place(root, bridge, lpc, kWindows));
  const uint32_t low = read(kSample, 0x14);
  sample.state = 5;
  sample.resets = 0;
  const unsigned express = capability(kCapabilityExpress);
  write(kSample, express + 8, 2, read(kSample, express + 8, 2) | 0x8000);
  EXPECT_EQ(sample.resets, 1u);
  EXPECT_EQ(sample.state, 0u);
  EXPECT_EQ(read(kSample, kCommand, 2), 0u);
  EXPECT_EQ(read(kSample, 0x14), 0u);
  EXPECT_EQ(mmio.read(low, 4), 0xffffffffu);
  EXPECT_EQ(read(kSample, express + 8, 2) & 0x8000, 0u);
}

TEST_F(PciTest, BusMasterEnableGuardsMemory) {
  uint32_t value = 0x12345678;
  EXPECT_FALSE(sample.dma().write(0x1000, &value, 4));
  write(kSample, kCommand, 2, kCommandBusMaster);
  EXPECT_TRUE(sample.dma().write(0x1000, &value, 4));
  value = 0;
  EXPECT_TRUE(sample.dma().read(0x1000, &value, 4));
  EXPECT_EQ(value, 0x12345678u);
  EXPECT_FALSE(sample.dma().write(0xffffe, &value, 4)) << "half outside";
  EXPECT_FALSE(sample.dma().write(~uint64_t{0} - 1, &value, 4));
}

TEST_F(PciTest, SnapshotsKeepTheDeviceItsWindowsAndItsIdentity) {
  ASSERT_TRUE(place(root, bridge, lpc, kWindows));
  sample.state = 77;
  StateWriter saved;
  sample.save(saved);
  const uint32_t low = read(kSample, 0x14);
  sample.reset();
  EXPECT_EQ(mmio.read(low, 4), 0xffffffffu);
  std::vector<uint8_t> bytes = saved.bytes();
  bytes[16 + 6] = 0xee;  // the vendor identifier, after the header of the section
  StateReader reader(bytes);
  sample.load(reader);
  EXPECT_FALSE(reader.failed());
  EXPECT_EQ(sample.state, 77u);
  EXPECT_EQ(mmio.read(low, 4), 0x55667700u);
  EXPECT_EQ(read(kSample, 0), 0x56781234u);
}

TEST_F(PciTest, ASnapshotCutShortResets) {
  ASSERT_TRUE(place(root, bridge, lpc, kWindows));
  StateWriter saved;
  sample.save(saved);
  StateReader reader(std::span(saved.bytes()).first(2000));
  sample.load(reader);
  EXPECT_TRUE(reader.failed());
  EXPECT_EQ(read(kSample, kCommand, 2), 0u);
}

TEST_F(PciTest, TheBridgesWindowAndTheRoutesComeBackWithASnapshot) {
  ASSERT_TRUE(place(root, bridge, lpc, kWindows));
  StateWriter saved;
  bridge.save(saved);
  lpc.save(saved);
  bridge.reset();
  lpc.reset();
  EXPECT_EQ(mmio.read(kWindow, 4), 0xffffffffu);
  StateReader reader(saved.bytes());
  bridge.load(reader);
  lpc.load(reader);
  EXPECT_EQ(mmio.read(kWindow, 4), 0x29c08086u);
  EXPECT_EQ(read(0x1f, 0x60), 0x0b0b0a0au);
}

}  // namespace
}  // namespace eidolon::device::pci
