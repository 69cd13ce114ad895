// Writes of a guest that are events, and no exits.
#include "engine/kvm/kernel_doorbells.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/file.h"
#include "kvm/small_machine.h"

namespace eidolon::engine {
namespace {

using kvm::VirtualMachine;

class KernelDoorbellsTest : public KvmTest {
 protected:
  static constexpr uint64_t kBell = SmallMachine::kDevice + 0x10;

  void SetUp() override {
    KvmTest::SetUp();
    if (IsSkipped()) return;
    machine_ = std::make_unique<SmallMachine>();
    vm_ = *VirtualMachine::create(machine_->memory());
    if (vm_->doorbells() == nullptr) GTEST_SKIP() << "this KVM has no ioeventfd";
    engine_ = *KvmEngine::create(machine_->cpu(), vm_);
    machine_->enter_long_mode();
  }
  /// mov dword [kBell], 7
  void write_there() {
    machine_->load({0xbb, 0x10, 0x00, 0x00, 0xfd, 0xc7, 0x03, 0x07, 0x00, 0x00, 0x00});
    EXPECT_EQ(engine_->run(), Stop::kRequested);
  }
  [[nodiscard]] uint64_t rung() const {
    uint64_t count = 0;
    (void)!read(event_.get(), &count, sizeof count);
    return count;
  }

  const FileDescriptor event_{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  const memory::Doorbell bell_{kBell, std::nullopt, event_.get()};
  std::unique_ptr<SmallMachine> machine_;
  std::shared_ptr<VirtualMachine> vm_;
  std::unique_ptr<KvmEngine> engine_;
};

TEST_F(KernelDoorbellsTest, AWriteIsAnEventUntilItIsDisconnected) {
  ASSERT_TRUE(vm_->doorbells()->connect(bell_));
  write_there();
  EXPECT_EQ(rung(), 1u);
  EXPECT_EQ(machine_->device().value, 0u) << "the device was not called";
  vm_->doorbells()->disconnect(bell_);
  write_there();
  EXPECT_EQ(rung(), 0u);
  EXPECT_EQ(machine_->device().value, 7u);
}

TEST_F(KernelDoorbellsTest, TheMonitorIsCalledWhereKvmRefuses) {
  EXPECT_FALSE(vm_->doorbells()->connect({kBell, std::nullopt, -1}));
  write_there();
  EXPECT_EQ(machine_->device().value, 7u);
}

TEST_F(KernelDoorbellsTest, OneOfAValueIsThatValues) {
  const FileDescriptor other(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  ASSERT_TRUE(vm_->doorbells()->connect({kBell, 7, event_.get()}));
  ASSERT_TRUE(vm_->doorbells()->connect({kBell, 6, other.get()}));
  write_there();
  EXPECT_EQ(rung(), 1u);
  EXPECT_EQ(machine_->device().value, 0u);
  vm_->doorbells()->disconnect({kBell, 7, event_.get()});
  write_there();
  EXPECT_EQ(rung(), 0u);
  EXPECT_EQ(machine_->device().value, 7u) << "6 is still the other's, and this was not it";
}

TEST_F(KernelDoorbellsTest, ReadsThereAreTheDevices) {
  ASSERT_TRUE(vm_->doorbells()->connect(bell_));
  machine_->device().value = 0x100;
  machine_->load({0xbb, 0x10, 0x00, 0x00, 0xfd, 0x8b, 0x03});  // mov eax, [kBell]
  EXPECT_EQ(engine_->run(), Stop::kRequested);
  EXPECT_EQ(machine_->state().gpr[x86::kRax], 0x110u);
  EXPECT_EQ(rung(), 0u);
}

}  // namespace
}  // namespace eidolon::engine
