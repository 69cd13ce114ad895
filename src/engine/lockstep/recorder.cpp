#include "engine/lockstep/recorder.h"

#include <x86intrin.h>

namespace eidolon::engine::lockstep {

using Kind = Entry::Kind;

Recorder::Recorder(cpu::Cpu& cpu, Tape& tape)
    : cpu_(cpu),
      tape_(tape),
      source_(cpu.interrupts),
      ports_(tape, Kind::kPortRead, Kind::kPortWrite),
      mmio_(tape, Kind::kMmioRead, Kind::kMmioWrite) {
  if (source_ != nullptr) cpu_.interrupts = this;
  cpu_.tsc_source = this;
  cpu_.ports.set_observer(&ports_);
  cpu_.mmio.set_observer(&mmio_);
}

Recorder::~Recorder() {
  cpu_.interrupts = source_;
  cpu_.tsc_source = nullptr;
  cpu_.ports.set_observer(nullptr);
  cpu_.mmio.set_observer(nullptr);
}

std::optional<uint8_t> Recorder::acknowledge() {
  const auto vector = source_->acknowledge();
  if (vector) tape_.record({.kind = Kind::kAcknowledge, .value = *vector});
  return vector;
}

uint8_t Recorder::task_priority() {
  const uint8_t value = source_->task_priority();
  tape_.record({.kind = Kind::kTaskPriority, .value = value});
  return value;
}

void Recorder::set_task_priority(uint8_t cr8) {
  tape_.record({.kind = Kind::kSetTaskPriority, .value = cr8});
  source_->set_task_priority(cr8);
}

cpu::Outcome<uint64_t> Recorder::read_msr(uint32_t msr) {
  const auto value = source_->read_msr(msr);
  tape_.record({.kind = Kind::kReadMsr, .fault = !value, .address = msr, .value = value.value_or(0)});
  return value;
}

cpu::Outcome<> Recorder::write_msr(uint32_t msr, uint64_t value) {
  const auto done = source_->write_msr(msr, value);
  tape_.record({.kind = Kind::kWriteMsr, .fault = !done, .address = msr, .value = value});
  return done;
}

void Recorder::init() {
  tape_.record({.kind = Kind::kInit});
  source_->init();
}

uint64_t Recorder::host_tsc() {
  const uint64_t value = __rdtsc();
  tape_.record({.kind = Kind::kTsc, .value = value});
  return value;
}

void Recorder::Bus::after_read(uint64_t address, unsigned size, uint64_t value) {
  tape_.record({.kind = read_, .size = static_cast<uint8_t>(size), .address = address, .value = value});
}

void Recorder::Bus::before_write(uint64_t address, unsigned size, uint64_t value) {
  tape_.record({.kind = write_, .size = static_cast<uint8_t>(size), .address = address, .value = value});
}

}  // namespace eidolon::engine::lockstep
