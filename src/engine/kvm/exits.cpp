// What KVM leaves to the monitor (KVM API, 5: the kvm_run structure).
#include <algorithm>
#include <cstring>

#include "cpu/msr.h"
#include "engine/kvm/kvm_engine.h"

namespace eidolon::engine {

bool KvmEngine::handle_exit() {
  ++counters_.exits[std::min<size_t>(run_.exit_reason, counters_.exits.size() - 1)];
  switch (run_.exit_reason) {
    case KVM_EXIT_IO:
      access_ports();
      return true;
    case KVM_EXIT_MMIO:
      access_memory();
      return true;
    case KVM_EXIT_X86_RDMSR:
      read_msr();
      return true;
    case KVM_EXIT_X86_WRMSR:
      write_msr();
      return true;
    case KVM_EXIT_HLT:
      cpu_.state.activity = cpu::Activity::kHalted;
      return true;
    case KVM_EXIT_SHUTDOWN:
      cpu_.state.activity = cpu::Activity::kShutdown;
      return true;
    case KVM_EXIT_INTR:
    case KVM_EXIT_IRQ_WINDOW_OPEN:
    case KVM_EXIT_SET_TPR:
      return true;  // what they tell is looked at after each exit
    case KVM_EXIT_IOAPIC_EOI:
      if (apics_ != nullptr) apics_->end_of_interrupt(run_.eoi.vector);
      return true;
    case KVM_EXIT_DEBUG:
      take_debug_exception();
      return true;
    case KVM_EXIT_INTERNAL_ERROR:
      emulation_failed_ = true;
      return false;
    default:
      return false;
  }
}

void KvmEngine::access_ports() {
  unfinished_ = true;
  const auto& io = run_.io;
  // SAFETY: KVM's page and the data that it points to are one mapping (KVM API, 5: "io").
  uint8_t* data = reinterpret_cast<uint8_t*>(&run_) + io.data_offset;
  for (uint32_t i = 0; i < io.count; ++i, data += io.size) {
    uint64_t value = 0;
    if (io.direction == KVM_EXIT_IO_IN) {
      value = cpu_.ports.read(io.port, io.size);
      std::memcpy(data, &value, io.size);
    } else {
      std::memcpy(&value, data, io.size);
      cpu_.ports.write(io.port, io.size, value);
    }
  }
}

/// Also RAM, of which KVM does not know yet that it is there, and stores to ROM, which do nothing.
void KvmEngine::access_memory() {
  unfinished_ = true;
  auto& access = run_.mmio;
  const unsigned size = std::min<unsigned>(access.len, sizeof access.data);
  const auto place = cpu_.memory.locate(access.phys_addr);
  if (!place || place->left < size) {
    if (access.is_write != 0)
      cpu_.mmio.write_bytes(access.phys_addr, access.data, size);
    else
      cpu_.mmio.read_bytes(access.phys_addr, access.data, size);
  } else if (access.is_write == 0) {
    std::memcpy(access.data, place->host, size);
  } else if (place->kind == memory::RegionKind::kRam) {
    cpu_.memory.before_write(access.phys_addr, size, cpu_.index);
    std::memcpy(place->host, access.data, size);
  }
}

// A register that KVM keeps itself comes here only when it has refused it.

void KvmEngine::read_msr() {
  unfinished_ = true;
  auto& msr = run_.msr;
  msr.error = 1;
  if (kvm::kept_by_kvm(msr.index, machine_->irqchip())) return;
  if (const auto value = cpu::read_msr(cpu_, msr.index)) {
    msr.data = *value;
    msr.error = 0;
  }
}

void KvmEngine::write_msr() {
  unfinished_ = true;
  auto& msr = run_.msr;
  msr.error = 1;
  if (kvm::kept_by_kvm(msr.index, machine_->irqchip())) return;
  if (cpu::write_msr(cpu_, msr.index, msr.data)) msr.error = 0;
  (void)registers_.follow_tsc(cpu_.state);
}

}  // namespace eidolon::engine
