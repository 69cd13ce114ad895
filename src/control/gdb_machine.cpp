#include "control/gdb_machine.h"

#include <string>

#include "backend/terminal.h"

namespace eidolon::control {

void GdbMachine::begin(machine::Machine& machine, machine::Debugger::Start start,
                       std::span<const uint64_t> breakpoints) {
  machine_ = &machine;
  debugger_.emplace(machine, start, told_);
  processors_ = debugger_->processors();
  if (const Result<> set = debugger_->begin_with(breakpoints); !set) say(set.error().message);
}

void GdbMachine::end() {
  debugger_.reset();
  machine_ = nullptr;
}

void GdbMachine::hold() {
  if (debugger_) debugger_->hold();
}

void GdbMachine::go_on(const std::vector<Order>& orders) {
  if (debugger_) debugger_->go_on(orders);
}

std::optional<GdbTarget::Stop> GdbMachine::take_stop() {
  return debugger_ ? debugger_->take_stop() : std::nullopt;
}

bool GdbMachine::visit(size_t processor, const std::function<void(cpu::State&)>& visit) {
  return debugger_ && debugger_->visit(processor, visit);
}

std::vector<uint8_t> GdbMachine::read(size_t processor, uint64_t linear, size_t length) {
  return debugger_ ? debugger_->read(processor, linear, length) : std::vector<uint8_t>();
}

bool GdbMachine::write(size_t processor, uint64_t linear, std::span<const uint8_t> bytes) {
  return debugger_ && debugger_->write(processor, linear, bytes);
}

/// Without a machine it waits for the next one (begin).
Result<> GdbMachine::add_breakpoint(uint64_t linear) {
  return debugger_ ? debugger_->add_breakpoint(linear) : Result<>();
}

void GdbMachine::remove_breakpoint(uint64_t linear) {
  if (debugger_) debugger_->remove_breakpoint(linear);
}

void GdbMachine::kill() {
  if (machine_ != nullptr) machine_->stop();
}

void GdbMachine::say(std::string_view sentence) { backend::say("eidolon: " + std::string(sentence)); }

}  // namespace eidolon::control
