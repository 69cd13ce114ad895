#include "device/chipset/fw_cfg.h"

#include <bit>

#include "chipset/fixture.h"

namespace eidolon::device {
namespace {

class FwCfgTest : public DeviceTest {
 protected:
  static constexpr uint64_t kRam = 0x10000, kRequest = 0x1000, kData = 0x2000;
  enum : uint32_t { kError = 1, kRead = 2, kSkip = 4, kSelect = 8, kWrite = 16 };

  FwCfgTest() { EXPECT_TRUE(memory->add_region(0, kRam, memory::RegionKind::kRam)); }

  void select(uint16_t key) { fw_cfg.io_write(0, 2, key); }
  std::string text(size_t length) {
    std::string bytes;
    while (bytes.size() < length) bytes.push_back(static_cast<char>(fw_cfg.io_read(1, 1)));
    return bytes;
  }
  template <typename T>
  T big_endian() {
    T value = 0;
    for (size_t i = 0; i < sizeof(T); ++i) value = static_cast<T>(value << 8 | fw_cfg.io_read(1, 1));
    return value;
  }
  /// What the request's control field says afterwards.
  uint32_t request(uint32_t control, uint32_t length, uint64_t address, uint64_t at = kRequest) {
    const uint32_t head[] = {std::byteswap(control), std::byteswap(length)};
    const uint64_t where = std::byteswap(address);
    EXPECT_TRUE(memory->write(at, head, sizeof head));
    EXPECT_TRUE(memory->write(at + 8, &where, sizeof where));
    fw_cfg.dma_ports().io_write(0, 4, std::byteswap(static_cast<uint32_t>(at >> 32)));
    fw_cfg.dma_ports().io_write(4, 4, std::byteswap(static_cast<uint32_t>(at)));
    uint32_t result = 0;
    EXPECT_TRUE(memory->read(at, &result, sizeof result));
    return std::byteswap(result);
  }
  std::string loaded(size_t length, uint64_t at = kData) {
    std::string bytes(length, '?');
    EXPECT_TRUE(memory->read(at, bytes.data(), length));
    return bytes;
  }
  static FwCfg::Bytes bytes(std::string_view text) { return {text.begin(), text.end()}; }

  std::unique_ptr<memory::GuestMemory> memory = *memory::GuestMemory::create(kRam);
  FwCfg fw_cfg{*memory};
};

TEST_F(FwCfgTest, SaysWhatItIs) {
  EXPECT_EQ(text(6), std::string("QEMU\0\0", 6)) << "zeros behind the end";
  select(FwCfg::kFeatures);
  EXPECT_EQ(fw_cfg.io_read(1, 4), 3u);
  EXPECT_EQ(fw_cfg.dma_ports().io_read(0, 4), std::byteswap(uint32_t{0x51454d55}));
  EXPECT_EQ(fw_cfg.dma_ports().io_read(4, 4), std::byteswap(uint32_t{0x20434647}));
}

TEST_F(FwCfgTest, NumbersAreLittleEndian) {
  fw_cfg.set_number<uint64_t>(FwCfg::kRamSize, 0x123456789a);
  select(FwCfg::kRamSize);
  EXPECT_EQ(fw_cfg.io_read(1, 1), 0x9au);
  EXPECT_EQ(fw_cfg.io_read(1, 2), 0x5678u);
}

TEST_F(FwCfgTest, DirectoryNamesTheFiles) {
  ASSERT_TRUE(fw_cfg.add_file("opt/b", bytes("second")));
  ASSERT_TRUE(fw_cfg.add_file("etc/a", bytes("first")));
  select(FwCfg::kDirectory);
  ASSERT_EQ(big_endian<uint32_t>(), 2u);
  EXPECT_EQ(big_endian<uint32_t>(), 5u);
  EXPECT_EQ(big_endian<uint16_t>(), 0x20u);
  EXPECT_EQ(big_endian<uint16_t>(), 0u);
  EXPECT_STREQ(text(56).c_str(), "etc/a");
  EXPECT_EQ(big_endian<uint32_t>(), 6u);
  EXPECT_EQ(big_endian<uint16_t>(), 0x21u);
  select(0x21);
  EXPECT_EQ(text(6), "second");
  select(0x22);
  EXPECT_EQ(fw_cfg.io_read(1, 4), 0u) << "there is no such file";
}

TEST_F(FwCfgTest, RefusesNamesThatDoNotFit) {
  EXPECT_TRUE(fw_cfg.add_file(std::string(55, 'x'), {}));
  EXPECT_FALSE(fw_cfg.add_file(std::string(55, 'x'), {}));
  EXPECT_FALSE(fw_cfg.add_file(std::string(56, 'x'), {}));
  EXPECT_FALSE(fw_cfg.add_file("", {}));
}

TEST_F(FwCfgTest, AFileMayBeMadeWhenItIsSelected) {
  std::string now = "early";
  ASSERT_TRUE(fw_cfg.add_file("etc/late", 8, [&now] { return bytes(now); }));
  now = "late";
  select(0x20);
  EXPECT_EQ(text(8), std::string("late\0\0\0\0", 8));
  now = "much too long";
  select(0x20);
  EXPECT_EQ(text(8), "much too");
}

TEST_F(FwCfgTest, DmaSelectsSkipsAndReads) {
  ASSERT_TRUE(fw_cfg.add_file("file", bytes("0123456789")));
  EXPECT_EQ(request(0x20 << 16 | kSelect | kSkip, 3, 0), 0u);
  EXPECT_EQ(request(kRead, 4, kData), 0u);
  EXPECT_EQ(loaded(4), "3456");
  EXPECT_EQ(request(kRead, 5, kData), 0u);
  EXPECT_EQ(loaded(5), std::string("789\0\0", 5));
}

TEST_F(FwCfgTest, DmaCrossesPagesAndTellsOfCode) {
  struct Observer final : memory::CodeObserver {
    void code_written(memory::GuestPhysical address, uint64_t) override { told = address; }
    memory::GuestPhysical told = 0;
  } observer;
  memory->set_code_observer(&observer);
  memory->mark_code(0x3000);
  ASSERT_TRUE(fw_cfg.add_file("file", FwCfg::Bytes(0x1800, 'x')));
  EXPECT_EQ(request(0x20 << 16 | kSelect | kRead, 0x1800, 0x1c00, 0x8000), 0u);
  EXPECT_EQ(loaded(0x1800, 0x1c00), std::string(0x1800, 'x'));
  memory->settle_foreign_writes();  // as the processor does before its next instruction
  EXPECT_EQ(observer.told, 0x3000u);
}

TEST_F(FwCfgTest, WhoIsCalledMayLookAtItAgain) {
  unsigned calls = 0;
  const auto look = [&] {
    ++calls;
    StateWriter writer;
    fw_cfg.save(writer);  // would wait for ever if the lock were held
  };
  memory->set_foreign_write_waker(look);
  memory->mark_code(kData);
  ASSERT_TRUE(fw_cfg.add_file("made", 4, [&] {
    look();
    return bytes("made");
  }));
  EXPECT_EQ(request(0x20 << 16 | kSelect | kRead, 4, kData), 0u);
  EXPECT_EQ(loaded(4), "made");
  EXPECT_EQ(calls, 2u);
}

TEST_F(FwCfgTest, DmaOutsideOfRamIsAnError) {
  ASSERT_TRUE(fw_cfg.add_file("file", bytes("0123456789")));
  EXPECT_EQ(request(0x20 << 16 | kSelect | kRead, 4, kRam), kError);
  EXPECT_EQ(request(0x20 << 16 | kSelect | kRead, 0xffffffff, kRam - 4), kError);
  EXPECT_EQ(request(0x20 << 16 | kSelect | kRead, 8, ~uint64_t{0} - 3), kError);
  EXPECT_EQ(request(0x20 << 16 | kSelect | kWrite, 4, kData), kError) << "no file can be written";
  fw_cfg.dma_ports().io_write(4, 4, 0xffffffff);  // a request that is not in RAM
}

TEST_F(FwCfgTest, StateIsThePlaceInTheItem) {
  ASSERT_TRUE(fw_cfg.add_file("file", bytes("0123456789")));
  select(0x20);
  EXPECT_EQ(text(4), "0123");
  StateWriter writer;
  fw_cfg.save(writer);
  fw_cfg.reset();
  StateReader reader(writer.bytes());
  fw_cfg.load(reader);
  EXPECT_EQ(text(3), "456");
}

}  // namespace
}  // namespace eidolon::device
