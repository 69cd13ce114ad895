#include "paravirt/kvm/kvm.h"

#include <time.h>

#include <atomic>

#include "base/bits.h"
#include "x86/registers.h"

namespace eidolon::paravirt::kvm {

using cpu::Outcome;

namespace {
constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint32_t kBase = 0x40000100;  ///< the first of its CPUID leaves
}

void show(cpu::CpuidModel& model, Calls calls) {
  // "KVMKVMKVM"
  model.add({.leaf = kBase,
             .subleaf = 0,
             .has_subleaves = false,
             .result = {.eax = kBase + 1, .ebx = 0x4b4d564b, .ecx = 0x564b4d56, .edx = 0x4d}});
  model.add({.leaf = kBase + 1, .subleaf = 0, .has_subleaves = false, .result = {.eax = calls == Calls::kOffered ? kFeatures : kQuietFeatures}});
}

bool shows_calls(const cpu::CpuidModel& model) {
  return (model.query(kBase + 1, 0, 0, 0, 0).eax & kFeatures & ~kQuietFeatures) != 0;
}

Host::Host(const Clock& clock, const interrupt::ApicBus& bus, uint32_t tsc_khz)
    : clock_(clock), bus_(bus), base_{__builtin_ia32_rdtsc(), clock.now()} {
  // The frequency is brought between 1 and 2 GHz, where the multiplier has 32 bits.
  uint64_t hz = uint64_t{tsc_khz} * 1000;
  while (hz > 2 * kSecond) {
    hz >>= 1;
    --shift_;
  }
  while (hz != 0 && hz <= kSecond) {
    hz <<= 1;
    ++shift_;
  }
  if (hz != 0) multiplier_ = static_cast<uint32_t>((static_cast<unsigned __int128>(kSecond) << 32) / hz);
}

void Host::add(cpu::Cpu& cpu, uint32_t apic_id) {
  if (by_apic_id_.size() <= apic_id) by_apic_id_.resize(apic_id + 1);
  by_apic_id_[apic_id] = &cpu;
}

void Host::kick(uint32_t apic_id) const {
  if (apic_id < by_apic_id_.size() && by_apic_id_[apic_id] != nullptr)
    by_apic_id_[apic_id]->events.raise(cpu::kEventKick);
}

Kvm::Kvm(cpu::Cpu& cpu, const Host& host, std::function<uint64_t()> stolen)
    : cpu_(cpu), host_(host), stolen_(std::move(stolen)) {}

void Kvm::reset() { wall_clock_ = system_time_ = steal_time_ = 0; }

/// Where the guest's structure is, if all of it is RAM. Others may write there too: only single accesses.
template <typename T>
T* Kvm::shared(uint64_t address) const {
  const auto place = cpu_.memory.locate(address);
  if (!place || place->kind != memory::RegionKind::kRam || place->left < sizeof(T) ||
      address % alignof(uint32_t) != 0)
    return nullptr;
  cpu_.memory.before_write(address, sizeof(T), cpu_.index);
  // SAFETY: guest RAM, in which any bytes make a T; it is aligned as its fields need on x86.
  return reinterpret_cast<T*>(place->host);
}

namespace {
/// Bytes that change between two versions.
template <typename T, typename Change>
void update(T& shared, const Change& change) {
  auto* version = static_cast<volatile uint32_t*>(&shared.version);
  const uint32_t odd = *version | 1;
  *version = odd;
  std::atomic_signal_fence(std::memory_order_seq_cst);  // the host keeps the order of stores
  change(shared);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  *version = odd + 1;
}
}  // namespace

void Kvm::publish_system_time() {
  if ((system_time_ & kEnabled) == 0) return;
  auto* time = shared<SystemTime>(system_time_ & ~kEnabled);
  if (time == nullptr) return;
  update(*time, [this](SystemTime& to) {
    to.tsc_timestamp = host_.base().tsc + cpu_.state.tsc_offset;
    to.system_time = static_cast<uint64_t>(host_.base().nanoseconds);
    to.tsc_to_system_mul = host_.multiplier();
    to.tsc_shift = host_.shift();
    // What it has not seen yet stays.
    const bool stopped = (to.flags & SystemTime::kStopped) != 0 || told_jumps_ != host_.jumps();
    to.flags = SystemTime::kStable | (stopped ? SystemTime::kStopped : uint8_t{0});
    told_jumps_ = host_.jumps();
  });
}

void Kvm::publish_wall_clock(uint64_t address) {
  auto* clock = shared<WallClock>(address);
  if (clock == nullptr) return;
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  const uint64_t start = static_cast<uint64_t>(now.tv_sec) * kSecond + static_cast<uint64_t>(now.tv_nsec) -
                         static_cast<uint64_t>(host_.now());
  update(*clock, [start](WallClock& to) {
    to.seconds = static_cast<uint32_t>(start / kSecond);
    to.nanoseconds = static_cast<uint32_t>(start % kSecond);
  });
}

StealTime* Kvm::steal_time() const {
  return (steal_time_ & kEnabled) == 0 ? nullptr : shared<StealTime>(steal_time_ & ~kEnabled);
}

void Kvm::publish_steal_time() {
  const uint64_t stolen = stolen_();
  const uint64_t more = stolen - stolen_before_;
  stolen_before_ = stolen;
  told_at_ = host_.now();
  if (StealTime* time = steal_time()) update(*time, [more](StealTime& to) { to.steal += more; });
}

bool Kvm::has_msr(uint32_t msr) const {
  return msr == kMsrWallClockOld || msr == kMsrSystemTimeOld || msr == kMsrWallClock ||
         msr == kMsrSystemTime || msr == kMsrStealTime;
}

Outcome<uint64_t> Kvm::read_msr(uint32_t msr) {
  switch (msr) {
    case kMsrWallClockOld:
    case kMsrWallClock:
      return wall_clock_;
    case kMsrSystemTimeOld:
    case kMsrSystemTime:
      return system_time_;
    default:
      return steal_time_;
  }
}

Outcome<> Kvm::write_msr(uint32_t msr, uint64_t value) {
  switch (msr) {
    case kMsrWallClockOld:
    case kMsrWallClock:
      wall_clock_ = value;
      publish_wall_clock(value);
      return {};
    case kMsrSystemTimeOld:
    case kMsrSystemTime:
      system_time_ = value;
      publish_system_time();
      return {};
    default:
      break;
  }
  constexpr uint64_t kStealReserved = sizeof(StealTime) - 1 - kEnabled;
  if ((value & kStealReserved) != 0) return cpu::raise_gp();
  steal_time_ = value;
  stolen_before_ = stolen_();
  return {};
}

void Kvm::tsc_changed() { publish_system_time(); }

void Kvm::sleeps() {
  if (StealTime* time = steal_time()) std::atomic_ref(time->preempted).store(StealTime::kPreempted);
}

void Kvm::wakes() {
  StealTime* time = steal_time();
  if (time == nullptr) return;
  if ((std::atomic_ref(time->preempted).exchange(0) & StealTime::kFlushTlb) != 0) cpu_.mmu.invalidate_all();
  if (host_.now() - told_at_ >= kStealPeriod) publish_steal_time();
}

void Kvm::hypercall() {
  cpu::State& state = cpu_.state;
  const uint64_t width = state.long_code() ? ~uint64_t{0} : mask_below(32);
  const auto value = [&](unsigned reg) { return state.gpr[reg] & width; };
  const bool user = !state.protected_mode() || state.cpl() != 0;
  state.gpr[x86::kRax] = width & (user ? kNotPermitted
                                       : call(value(x86::kRax), {value(x86::kRbx), value(x86::kRcx),
                                                                 value(x86::kRdx), value(x86::kRsi)}));
}

uint64_t Kvm::call(uint64_t number, const std::array<uint64_t, 4>& argument) {
  switch (number) {
    case kKickCpu:
      host_.kick(static_cast<uint32_t>(argument[1]));
      return 0;
    case kSendIpiCall:
      return send_ipis(argument);
    case kSchedYieldCall:
      // Whoever it names is ready: this thread's place is all that it can be given.
      cpu_.turn.give_way();
      return 0;
    default:
      return kNoSuchCall;
  }
}

/// A bitmap of as many APIC IDs as two registers have bits, from the one in the third argument on; the fourth
/// is the low half of an ICR. Answers how many there are.
uint64_t Kvm::send_ipis(const std::array<uint64_t, 4>& argument) {
  const unsigned width = cpu_.state.long_code() ? 64 : 32;
  const auto mode = static_cast<interrupt::DeliveryMode>(bits(argument[3], 10, 8));
  if (mode != interrupt::DeliveryMode::kFixed && mode != interrupt::DeliveryMode::kNmi) return kInvalid;
  uint64_t count = 0;
  for (unsigned half = 0; half < 2; ++half) {
    for (uint64_t left = argument[half]; left != 0; left &= left - 1) {
      const auto bit = static_cast<unsigned>(std::countr_zero(left));
      host_.send({.destination = static_cast<uint32_t>(argument[2] + half * width + bit),
                  .mode = mode,
                  .vector = static_cast<uint8_t>(argument[3])});
      ++count;
    }
  }
  return count;
}

void Kvm::save(StateWriter& to) const {
  to.begin(name(), 1);
  to(wall_clock_, system_time_, steal_time_);
  to.end();
}

void Kvm::load(StateReader& from) {
  (void)from.begin(name());
  from(wall_clock_, system_time_, steal_time_);
  from.end();
  publish_system_time();
}

}  // namespace eidolon::paravirt::kvm
