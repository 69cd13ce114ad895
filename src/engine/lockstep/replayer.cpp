#include "engine/lockstep/replayer.h"

#include "base/assert.h"

namespace eidolon::engine::lockstep {

using Kind = Entry::Kind;

Replayer::Replayer(Tape& tape)
    : tape_(tape),
      port_handler_(tape, Kind::kPortRead, Kind::kPortWrite),
      mmio_handler_(tape, Kind::kMmioRead, Kind::kMmioWrite) {
  const bool wired = ports.attach(0, ~uint64_t{0}, port_handler_, "tape") &&
                     mmio.attach(0, ~uint64_t{0}, mmio_handler_, "tape");
  EIDOLON_ASSERT(wired);
}

std::optional<uint8_t> Replayer::acknowledge() {
  return static_cast<uint8_t>(tape_.replay({.kind = Kind::kAcknowledge}).value);
}

uint8_t Replayer::task_priority() {
  return static_cast<uint8_t>(tape_.replay({.kind = Kind::kTaskPriority}).value);
}

void Replayer::set_task_priority(uint8_t cr8) {
  (void)tape_.replay({.kind = Kind::kSetTaskPriority, .value = cr8});
}

cpu::Outcome<uint64_t> Replayer::read_msr(uint32_t msr) {
  const Entry entry = tape_.replay({.kind = Kind::kReadMsr, .address = msr});
  if (entry.fault) return cpu::raise_gp();
  return entry.value;
}

cpu::Outcome<> Replayer::write_msr(uint32_t msr, uint64_t value) {
  if (tape_.replay({.kind = Kind::kWriteMsr, .address = msr, .value = value}).fault) return cpu::raise_gp();
  return {};
}

void Replayer::init() { (void)tape_.replay({.kind = Kind::kInit}); }

uint64_t Replayer::host_tsc() { return tape_.replay({.kind = Kind::kTsc}).value; }

uint64_t Replayer::Bus::io_read(uint64_t offset, unsigned size) {
  return tape_.replay({.kind = read_, .size = static_cast<uint8_t>(size), .address = offset}).value;
}

void Replayer::Bus::io_write(uint64_t offset, unsigned size, uint64_t value) {
  (void)tape_.replay({.kind = write_, .size = static_cast<uint8_t>(size), .address = offset, .value = value});
}

}  // namespace eidolon::engine::lockstep
