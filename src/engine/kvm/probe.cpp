#include "engine/kvm/probe.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "base/try.h"
#include "cpu/cpuid_host.h"
#include "engine/kvm/kvm_engine.h"
#include "x86/cpuid.h"

namespace eidolon::engine::kvm {

namespace {

/// A port whose write says that the loop has been run.
class Finish final : public memory::IoHandler {
 public:
  uint64_t io_read(uint64_t, unsigned) override { return 0xff; }
  void io_write(uint64_t, unsigned, uint64_t) override {
    reached_ = true;
    cpu->events.raise(cpu::kEventStop);
  }
  [[nodiscard]] bool reached() const { return reached_; }
  cpu::Cpu* cpu = nullptr;

 private:
  bool reached_ = false;
};

/// Stops the processor when time is up, unless this ends before.
class Deadline {
 public:
  Deadline(cpu::Cpu& cpu, std::chrono::milliseconds after) {
    thread_ = std::thread([this, &cpu, after] {
      std::unique_lock lock(mutex_);
      if (!ended_.wait_for(lock, after, [this] { return over_; })) cpu.events.raise(cpu::kEventStop);
    });
  }
  ~Deadline() {
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
    }
    ended_.notify_one();
    thread_.join();
  }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  bool over_ = false;
  std::thread thread_;
};

/// VMX or SVM in CPUID, without which the kernel's own KVM does not load.
bool processor_virtualizes() {
  constexpr uint32_t kVmx = 1u << 5, kSvm = 1u << 2;
  namespace id = x86::cpuid;
  return (cpu::host_cpuid(id::kVersion).ecx & kVmx) != 0 ||
         (cpu::host_cpuid(id::kExtendedVersion).ecx & kSvm) != 0;
}

constexpr uint64_t kCode = 0x1000, kMemory = 0x10000, kTurns = 100'000;
constexpr uint16_t kPort = 0xf4;

}  // namespace

Result<> probe() {
  if (!processor_virtualizes())
    return fail("it is software itself: the processor has neither VT-x nor AMD-V");
  // 100,000 times around take a tenth of a millisecond on a processor.
  const std::vector<uint8_t> code = {0x66, 0xb9,  0xa0, 0x86, 0x01, 0x00,  // mov ecx, 100000
                                     0x66, 0x49,                           // dec ecx
                                     0x75, 0xfc,                           // jnz to it
                                     0xe6, kPort,                          // out kPort, al
                                     0xeb, 0xfe};                          // jmp to itself
  std::unique_ptr<memory::GuestMemory> memory = EIDOLON_TRY(memory::GuestMemory::create(kMemory));
  EIDOLON_TRY(memory->add_region(0, kMemory, memory::RegionKind::kRam));
  (void)memory->load(kCode, code.data(), code.size());
  memory::IoBus ports, mmio;
  Finish finish;
  EIDOLON_TRY(ports.attach(kPort, 1, finish, "finish"));
  const cpu::FeatureWords features = EIDOLON_TRY(supported_features());
  const cpu::CpuidModel model = EIDOLON_TRY(cpu::CpuidModel::create("host", features));
  const auto cpu = std::make_unique<cpu::Cpu>(cpu::Surroundings{*memory, ports, mmio, model});
  finish.cpu = cpu.get();
  cpu->state.reset();
  cpu->state.segment[x86::kCs].selector = 0;
  cpu->state.segment[x86::kCs].base = 0;
  cpu->state.rip = kCode;
  std::unique_ptr<VirtualMachine> machine = EIDOLON_TRY(VirtualMachine::create(*memory));
  const std::unique_ptr<KvmEngine> engine = EIDOLON_TRY(KvmEngine::create(*cpu, std::move(machine)));
  const Deadline deadline(*cpu, std::chrono::milliseconds(5));
  (void)engine->run();
  // A host that is busy may have taken the processor away meanwhile; one in software has got nowhere.
  const uint64_t turns = kTurns - cpu->state.gpr[x86::kRcx];
  if (finish.reached() || turns > kTurns / 10) return {};
  return fail("it is slow: it seems to be software itself");
}

}  // namespace eidolon::engine::kvm
