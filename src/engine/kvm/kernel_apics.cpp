#include "engine/kvm/kernel_apics.h"

#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>

#include "engine/kvm/tables.h"
#include "x86/msr.h"

namespace eidolon::engine::kvm {

namespace {

/// struct kvm_lapic_state: each register has 16 bytes.
constexpr size_t kStride = 16;

void to_page(const cpu::ApicImage& image, kvm_lapic_state& page) {
  for (size_t i = 0; i < image.registers.size(); ++i)
    std::memcpy(page.regs + i * kStride, &image.registers[i], sizeof image.registers[i]);
}

void from_page(const kvm_lapic_state& page, cpu::ApicImage& image) {
  for (size_t i = 0; i < image.registers.size(); ++i)
    std::memcpy(&image.registers[i], page.regs + i * kStride, sizeof image.registers[i]);
}

bool get_msr(const Vcpu& vcpu, uint32_t msr, uint64_t& value) {
  Room<MsrTable> room(1);
  room->count = 1;
  room->entries[0].index = msr;
  if (vcpu.call(kGetMsrs, room.get()) != 1) return false;
  value = room->entries[0].data;
  return true;
}

bool set_msr(const Vcpu& vcpu, uint32_t msr, uint64_t value) {
  Room<MsrTable> room(1);
  room->count = 1;
  room->entries[0] = {.index = msr, .reserved = 0, .data = value};
  return vcpu.call(kSetMsrs, room.get()) == 1;
}

}  // namespace

Result<std::unique_ptr<KernelApics>> KernelApics::create(int vm) {
  kvm_enable_cap split{};
  split.cap = KVM_CAP_SPLIT_IRQCHIP;
  split.args[0] = kPins;
  if (ioctl(vm, KVM_CHECK_EXTENSION, split.cap) <= 0 ||
      ioctl(vm, KVM_CHECK_EXTENSION, KVM_CAP_SIGNAL_MSI) <= 0)
    return fail("this host's KVM has no local APICs of its own; use --irqchip user");
  if (ioctl(vm, KVM_ENABLE_CAP, &split) != 0)
    return fail("KVM does not make local APICs ({}); use --irqchip user", std::strerror(errno));
  return std::unique_ptr<KernelApics>(new KernelApics(vm));
}

void KernelApics::add(uint32_t id, const Vcpu& vcpu, cpu::Cpu& cpu) {
  if (id < kIds) processors_[id] = {.vcpu = &vcpu, .cpu = &cpu, .external = nullptr};
}

void KernelApics::remove(uint32_t id) {
  if (id < kIds) processors_[id] = {};
}

/// The base first: it says what the registers' numbers mean.
bool KernelApics::put(uint32_t id, const cpu::ApicImage& image, cpu::ExternalInterrupts& external) {
  const Vcpu* to = vcpu(id);
  if (to == nullptr || !set_msr(*to, x86::kMsrApicBase, image.base)) return false;
  kvm_lapic_state page{};
  to_page(image, page);
  if (to->call(KVM_SET_LAPIC, &page) != 0) return false;
  if (image.deadline != 0 && !set_msr(*to, x86::kMsrTscDeadline, image.deadline)) return false;
  processors_[id].external = &external;
  return true;
}

bool KernelApics::get(uint32_t id, cpu::ApicImage& image) {
  const Vcpu* from = vcpu(id);
  if (from == nullptr) return false;
  take_arrivals(processors_[id]);
  kvm_lapic_state page{};
  if (!get_msr(*from, x86::kMsrApicBase, image.base) || from->call(KVM_GET_LAPIC, &page) != 0) return false;
  from_page(page, image);
  if (!get_msr(*from, x86::kMsrTscDeadline, image.deadline)) image.deadline = 0;
  return true;
}

/// INIT and SIPI that came to a processor which has left the guest already: KVM does them as it tells the
/// activity, to registers that are here by now.
void KernelApics::take_arrivals(const Processor& processor) const {
  const bool waited = processor.cpu->state.activity == cpu::Activity::kWaitForSipi;
  kvm_mp_state state{};
  if (processor.vcpu->call(KVM_GET_MP_STATE, &state) != 0) return;
  if (state.mp_state == KVM_MP_STATE_INIT_RECEIVED && !waited) {
    processor.cpu->events.raise(cpu::kEventInit);
  } else if (state.mp_state == KVM_MP_STATE_RUNNABLE && waited) {
    kvm_sregs sregs{};
    if (processor.vcpu->call(KVM_GET_SREGS, &sregs) != 0) return;
    processor.cpu->events.sipi_vector = static_cast<uint8_t>(sregs.cs.selector >> 8);
    processor.cpu->events.raise(cpu::kEventSipi);
  }
}

bool KernelApics::deliver(const cpu::Msi& message) {
  kvm_msi msi{};
  msi.address_lo = static_cast<uint32_t>(message.address);
  msi.address_hi = static_cast<uint32_t>(message.address >> 32);
  msi.data = message.data;
  return ioctl(vm_, KVM_SIGNAL_MSI, &msi) > 0;
}

void KernelApics::route(unsigned pin, const std::optional<cpu::Msi>& message) {
  const std::lock_guard lock(mutex_);
  if (pin >= kPins) return;
  std::optional<cpu::Msi>& known = routes_[pin];
  const bool same = known.has_value() == message.has_value() &&
                    (!known || (known->address == message->address && known->data == message->data));
  if (same) return;
  known = message;
  set_routes();
}

/// They carry nothing, for what a pin sends goes through deliver(): from them KVM knows the vectors whose EOI
/// is told.
void KernelApics::set_routes() const {
  Room<RoutingTable> room(kPins);
  for (unsigned pin = 0; pin < kPins; ++pin) {
    if (!routes_[pin]) continue;
    kvm_irq_routing_entry& entry = room->entries[room->count++];
    entry.gsi = pin;
    entry.type = KVM_IRQ_ROUTING_MSI;
    entry.u.msi.address_lo = static_cast<uint32_t>(routes_[pin]->address);
    entry.u.msi.address_hi = static_cast<uint32_t>(routes_[pin]->address >> 32);
    entry.u.msi.data = routes_[pin]->data;
  }
  (void)ioctl(vm_, kSetGsiRouting, room.get());
}

bool KernelApics::read_msr(uint32_t id, uint32_t msr, uint64_t& value) {
  const Vcpu* from = vcpu(id);
  return from != nullptr && get_msr(*from, msr, value);
}

bool KernelApics::write_msr(uint32_t id, uint32_t msr, uint64_t value) {
  const Vcpu* to = vcpu(id);
  return to != nullptr && set_msr(*to, msr, value);
}

}  // namespace eidolon::engine::kvm
