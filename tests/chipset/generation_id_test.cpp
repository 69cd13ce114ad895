// The number of this life of the machine: where it is, that it changes, and that the guest is told.
#include "device/chipset/generation_id.h"

#include <array>

#include "chipset/fixture.h"

namespace eidolon::device {
namespace {

class GenerationIdTest : public DeviceTest {
 protected:
  static constexpr uint64_t kEnable = 0x28;  ///< GPE0

  GenerationIdTest() : memory(std::move(memory::GuestMemory::create(1 << 20).value())) {
    EXPECT_TRUE(memory->add_region(0, 64 << 10, memory::RegionKind::kRam));
    EXPECT_TRUE(id.place(*memory));
  }
  using Number = std::array<uint8_t, GenerationId::kBytes>;
  Number number() const {
    Number read{};
    EXPECT_TRUE(memory->read(GenerationId::kBase, read.data(), read.size()));
    return read;
  }

  RecordingLine button;
  AcpiPm pm{timers, button, machine};
  PmBlock block{pm, &irq};
  std::unique_ptr<memory::GuestMemory> memory;
  GenerationId id{block};
};

TEST_F(GenerationIdTest, IsThereAndNobodyIsToldOfTheFirstOne) {
  block.io_write(kEnable, 1, 1u << GenerationId::kEvent);
  EXPECT_NE(number(), Number{});
  EXPECT_FALSE(irq.level());
}

TEST_F(GenerationIdTest, AnotherOneIsTold) {
  block.io_write(kEnable, 1, 1u << GenerationId::kEvent);
  const Number before = number();
  ASSERT_TRUE(id.renew());
  EXPECT_NE(number(), before);
  EXPECT_TRUE(irq.level());
}

TEST_F(GenerationIdTest, IsNoRam) {
  EXPECT_EQ(memory->find(GenerationId::kBase)->kind, memory::RegionKind::kRom);
  EXPECT_EQ(memory->ram_bytes(), 64u << 10);
}

TEST_F(GenerationIdTest, TwoMachinesHaveTwo) {
  const auto other = std::move(memory::GuestMemory::create(1 << 20).value());
  GenerationId others{block};
  ASSERT_TRUE(others.place(*other));
  Number read{};
  ASSERT_TRUE(other->read(GenerationId::kBase, read.data(), read.size()));
  EXPECT_NE(read, number());
}

}  // namespace
}  // namespace eidolon::device
