#include "engine/kvm/virtual_machine.h"

#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>

#include "base/try.h"
#include "engine/kvm/kernel_apics.h"
#include "engine/kvm/kernel_doorbells.h"
#include "x86/msr.h"

namespace eidolon::engine::kvm {

namespace {

bool same(const memory::Region& one, const memory::Region& other) {
  return one.base == other.base && one.length == other.length && one.host == other.host &&
         one.kind == other.kind;
}

struct KeptMsrs {
  uint32_t first, count, flags;
};
constexpr uint32_t kBoth = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE;
constexpr KeptMsrs kKept[] = {
    {x86::kMsrTsc, 1, KVM_MSR_FILTER_READ},  // a write moves TSC_ADJUST, too
    {x86::kMsrSysenterCs, 3, kBoth},
    {x86::kMsrEfer, 5, kBoth},      // to FMASK
    {x86::kMsrFsBase, 4, kBoth},    // to TSC_AUX
    {x86::kMsrApicBase, 1, kBoth},  // last: of a split irqchip only
};
std::span<const KeptMsrs> kept(Irqchip irqchip) {
  return std::span(kKept).first(std::size(kKept) - (irqchip == Irqchip::kSplit ? 0 : 1));
}

}  // namespace

bool kept_by_kvm(uint32_t msr, Irqchip irqchip) {
  // Those of an x2APIC never come out of the kernel but when it refuses them.
  if (irqchip == Irqchip::kSplit && msr >= x86::kMsrX2ApicFirst && msr <= x86::kMsrX2ApicLast) return true;
  return std::ranges::any_of(kept(irqchip), [msr](const KeptMsrs& kept) {
    return kept.flags == kBoth && msr - kept.first < kept.count;
  });
}

Result<std::unique_ptr<VirtualMachine>> VirtualMachine::create(const memory::GuestMemory& memory,
                                                               Irqchip irqchip) {
  System system = EIDOLON_TRY(System::open());
  FileDescriptor vm = EIDOLON_TRY(system.create_vm());
  std::unique_ptr<VirtualMachine> machine(new VirtualMachine(memory, std::move(system), std::move(vm)));
  if (irqchip == Irqchip::kSplit) machine->apics_ = EIDOLON_TRY(KernelApics::create(machine->vm_.get()));
  machine->doorbells_ = KernelDoorbells::create(machine->system_, machine->vm_.get());
  const int xsave = ioctl(machine->vm_.get(), KVM_CHECK_EXTENSION, KVM_CAP_XSAVE2);
  machine->xsave_bytes_ = xsave > 0 ? static_cast<size_t>(xsave) : 0;
  EIDOLON_TRY(machine->place_hidden_pages());
  EIDOLON_TRY(machine->keep_msrs());
  EIDOLON_TRY(machine->follow_memory());
  return machine;
}

VirtualMachine::VirtualMachine(const memory::GuestMemory& memory, System system, FileDescriptor vm)
    : memory_(memory), system_(std::move(system)), vm_(std::move(vm)), dirty_log_(vm_.get()) {}

VirtualMachine::~VirtualMachine() = default;

/// Intel's processors without "unrestricted guest" run real mode as virtual-8086 mode, for which KVM needs a
/// TSS and a page table of its own where the guest has nothing: below the firmware, where no BAR is put.
Result<> VirtualMachine::place_hidden_pages() {
  constexpr uint64_t kIdentityMap = 0xfeffc000, kTss = kIdentityMap + 0x1000;
  uint64_t identity = kIdentityMap;
  if (ioctl(vm_.get(), KVM_SET_IDENTITY_MAP_ADDR, &identity) != 0 ||
      ioctl(vm_.get(), KVM_SET_TSS_ADDR, kTss) != 0)
    return fail("KVM does not take its own pages ({}); use --engine translate", std::strerror(errno));
  return {};
}

Result<> VirtualMachine::keep_msrs() {
  // From Linux 5.14 on. Before, KVM raises #UD as well, at CPL 3 nothing else.
  kvm_enable_cap failures{};
  failures.cap = KVM_CAP_EXIT_ON_EMULATION_FAILURE;
  failures.args[0] = 1;
  if (ioctl(vm_.get(), KVM_CHECK_EXTENSION, failures.cap) > 0)
    (void)ioctl(vm_.get(), KVM_ENABLE_CAP, &failures);
  kvm_enable_cap exits{};
  exits.cap = KVM_CAP_X86_USER_SPACE_MSR;
  exits.args[0] = KVM_MSR_EXIT_REASON_INVAL | KVM_MSR_EXIT_REASON_UNKNOWN | KVM_MSR_EXIT_REASON_FILTER;
  std::array<uint8_t, 1> all = {0xff};
  kvm_msr_filter filter{};
  filter.flags = KVM_MSR_FILTER_DEFAULT_DENY;
  size_t ranges = 0;
  for (const KeptMsrs& msrs : kept(irqchip()))
    filter.ranges[ranges++] = {
        .flags = msrs.flags, .nmsrs = msrs.count, .base = msrs.first, .bitmap = all.data()};
  if (ioctl(vm_.get(), KVM_ENABLE_CAP, &exits) != 0 || ioctl(vm_.get(), KVM_X86_SET_MSR_FILTER, &filter) != 0)
    return fail("KVM does not leave MSRs to the monitor ({}); use --engine translate", std::strerror(errno));
  return {};
}

Result<FileDescriptor> VirtualMachine::create_vcpu(unsigned number) const {
  FileDescriptor vcpu(ioctl(vm_.get(), KVM_CREATE_VCPU, number));
  if (!vcpu.valid())
    return fail("KVM makes no processor {} ({}); give the guest fewer with --cpus, or use --engine translate",
                number, std::strerror(errno));
  return vcpu;
}

Result<> VirtualMachine::follow_memory() {
  const std::lock_guard lock(mutex_);
  Result<> all;
  std::vector<memory::Region> wanted = memory_.map();
  for (uint32_t number = 0; number < slots_.size(); ++number) {
    memory::Region& slot = slots_[number];
    if (slot.length == 0) continue;
    const auto found = std::ranges::find_if(wanted, [&](const auto& region) { return same(region, slot); });
    if (found != wanted.end()) {
      wanted.erase(found);
      continue;
    }
    EIDOLON_TRY(set_slot(number, slot, 0));
    leave_behind(slot);
    slot.length = 0;
  }
  for (const memory::Region& region : wanted) {
    auto slot = std::ranges::find(slots_, uint64_t{0}, &memory::Region::length);
    if (slot == slots_.end())
      slot = slots_.insert(slot, {.base = 0, .length = 0, .host = nullptr, .kind = region.kind});
    const auto taken = set_slot(static_cast<uint32_t>(slot - slots_.begin()), region, region.length);
    if (taken) *slot = region;
    if (!taken) all = taken;  // the others all the same
  }
  return all;
}

Result<> VirtualMachine::set_slot(uint32_t number, const memory::Region& region, uint64_t length) {
  kvm_userspace_memory_region slot{};
  slot.slot = number;
  if (length != 0 && region.kind == memory::RegionKind::kRom) slot.flags = KVM_MEM_READONLY;
  if (length != 0 && logged(region)) slot.flags = KVM_MEM_LOG_DIRTY_PAGES;
  slot.guest_phys_addr = region.base;
  slot.memory_size = length;
  slot.userspace_addr = reinterpret_cast<uint64_t>(region.host);
  if (ioctl(vm_.get(), KVM_SET_USER_MEMORY_REGION, &slot) != 0)
    return fail("KVM does not take the guest's memory at {:#x} ({}); use --engine translate", region.base,
                std::strerror(errno));
  return {};
}

/// ROM is not written by processors.
bool VirtualMachine::logged(const memory::Region& region) const {
  return logs_dirty_ && region.kind == memory::RegionKind::kRam;
}

/// Its log is gone with the slot, and a processor may have written until the last moment: so all of it counts
/// as written.
void VirtualMachine::leave_behind(const memory::Region& slot) {
  if (logged(slot)) left_behind_.push_back({.address = slot.base, .host = slot.host, .length = slot.length});
}

Result<> VirtualMachine::mark_slots() {
  for (uint32_t number = 0; number < slots_.size(); ++number) {
    const memory::Region& slot = slots_[number];
    if (slot.length == 0 || slot.kind != memory::RegionKind::kRam) continue;
    EIDOLON_TRY(set_slot(number, slot, slot.length));
  }
  return {};
}

Result<> VirtualMachine::log_dirty(bool on) {
  const std::lock_guard lock(mutex_);
  if (logs_dirty_ == on) return {};
  logs_dirty_ = on;
  left_behind_.clear();
  const Result<> marked = mark_slots();
  if (marked || !on) return marked;
  logs_dirty_ = false;
  (void)mark_slots();
  return marked;
}

Result<> VirtualMachine::collect_dirty(const DirtySink& sink) {
  const std::lock_guard lock(mutex_);
  if (!logs_dirty_) return {};
  for (const DirtyRun& run : left_behind_) sink(run);
  left_behind_.clear();
  for (uint32_t number = 0; number < slots_.size(); ++number)
    if (slots_[number].length != 0 && logged(slots_[number]))
      EIDOLON_TRY(dirty_log_.collect(vm_.get(), number, slots_[number], sink));
  return {};
}

}  // namespace eidolon::engine::kvm
