// What the controller's thread does: commands (xHCI 1.1, 4.6), transfers (4.11 and 4.8) and the events about
// them.
#include "device/usb/xhci_controller.h"

namespace eidolon::device::usb {

using namespace xhci;

namespace {

Trb completion_event(GuestPhysical command, Code code, unsigned slot) {
  return {.parameter = command,
          .status = static_cast<uint32_t>(code) << 24,
          .control = trb_type(kCommandCompletion) | slot << 24};
}

}  // namespace

bool XhciController::work(Lock& held) {
  if (!running() || !dma().enabled()) return false;
  const bool worked = tell_command_stop() || tell_port() || run_command() || run_transfer(held);
  if (worked) {
    // A ring without an end keeps this thread busy for ever: let others in.
    held.unlock();
    std::this_thread::yield();
    held.lock();
  }
  return worked;
}

bool XhciController::has_room(unsigned interrupter, size_t events) {
  return interrupters_[interrupter].room(dma()) >= events;
}

void XhciController::post(unsigned interrupter, const Trb& event, bool quiet) {
  switch (interrupters_[interrupter].post(dma(), event, quiet)) {
    case Interrupter::Posted::kQuiet:
      return;
    case Interrupter::Posted::kPending:
      status_ |= kEventInterrupt;
      if (interrupters_[interrupter].asserted()) interrupt(interrupter);
      return;
    case Interrupter::Posted::kFailed:
      return fail();
  }
}

bool XhciController::tell_port() {
  const unsigned port = ports_.untold();
  if (port == 0 || !has_room(0, 1)) return false;
  ports_.told(port);
  post(0, {.parameter = uint64_t{port} << 24,
           .status = static_cast<uint32_t>(Code::kSuccess) << 24,
           .control = trb_type(kPortStatusChange)});
  return true;
}

bool XhciController::tell_command_stop() {
  if (!command_stop_untold_ || !has_room(0, 1)) return false;
  command_stop_untold_ = false;
  post(0, completion_event(command_ring_.dequeue, Code::kRingStopped, 0));
  return true;
}

/// A command causes up to two events: STOP ENDPOINT one about the transfer, too.
bool XhciController::run_command() {
  if (!commands_run_ || !commands_rung_ || !has_room(0, 2)) return false;
  const Fetched fetched = fetch(dma(), command_ring_);
  switch (fetched.what) {
    case Fetched::What::kNothing:
      commands_rung_ = false;
      return false;
    case Fetched::What::kBroken:
      fail();
      return false;
    case Fetched::What::kTrb:
      break;
  }
  unsigned slot = fetched.trb.slot();
  const Code code = execute(fetched.trb, slot);
  post(0, completion_event(fetched.address, code, slot));
  return true;
}

Code XhciController::execute(const Trb& command, unsigned& slot) {
  const GuestPhysical pointer = command.parameter & ~uint64_t{15};
  const unsigned index = command.endpoint();
  switch (command.type()) {
    case kNoOpCommand:
      return Code::kSuccess;
    case kEnableSlot:
      return slots_.enable(configure_ & 0xff, slot);
    case kDisableSlot:
      return slots_.disable(dma(), slot);
    case kAddressDevice:
      return slots_.address(dma(), slot, contexts_, pointer, (command.control & kBlockSetAddress) != 0);
    case kConfigureEndpoint:
      return slots_.configure(dma(), slot, pointer, (command.control & kDeconfigure) != 0);
    case kEvaluateContext:
      return slots_.evaluate(dma(), slot, pointer);
    case kResetEndpoint:
      return slots_.reset_endpoint(dma(), slot, index);
    case kStopEndpoint:
      tell_stopped(slot, index);
      return slots_.stop_endpoint(dma(), slot, index);
    case kSetDequeue:
      return slots_.set_dequeue(dma(), slot, index, command.parameter);
    case kResetDevice:
      return slots_.reset_device(dma(), slot);
    default:
      return Code::kTrbError;
  }
}

/// A transfer that waits for its device is stopped before the command is completed (4.6.9).
void XhciController::tell_stopped(unsigned slot, unsigned index) {
  const Endpoint* endpoint = slots_.endpoint(slot, index);
  if (endpoint == nullptr || endpoint->state != EndpointState::kRunning || !endpoint->waiting) return;
  Transfer transfer;
  RingPlace ring = endpoint->ring;
  if (transfer.collect(dma(), ring, endpoint->type == EndpointType::kControl) != Transfer::Found::kWhole)
    return;
  const Transfer::Event event = transfer.failure(slot, index, Code::kStopped);
  if (has_room(event.interrupter, 2)) post(event.interrupter, event.trb);
}

/// One transfer of one endpoint, each in its turn.
bool XhciController::run_transfer(Lock& held) {
  constexpr unsigned kAll = (kSlots + 1) * kEndpoints;
  for (unsigned i = 0; i < kAll; ++i) {
    const unsigned place = (turn_ + i) % kAll;
    const unsigned slot = place / kEndpoints, index = place % kEndpoints;
    const Endpoint* endpoint = slots_.endpoint(slot, index);
    if (endpoint == nullptr || !endpoint->rung || endpoint->state != EndpointState::kRunning) continue;
    if (!run_endpoint(held, slot, index)) continue;
    turn_ = place + 1;
    return true;
  }
  return false;
}

/// False if there is nothing to do, or no room for the events.
bool XhciController::run_endpoint(Lock& held, unsigned slot, unsigned index) {
  Endpoint& endpoint = *slots_.endpoint(slot, index);
  usb::Device* device = ports_.device(slots_.slot(slot)->port);
  Transfer transfer;
  RingPlace after = endpoint.ring;
  const auto give_up = [&](EndpointState state, Code code) {
    const Transfer::Event event = transfer.failure(slot, index, code);
    if (!has_room(event.interrupter, 1)) return false;
    slots_.set_state(dma(), slot, index, state);
    post(event.interrupter, event.trb);
    return true;
  };
  switch (transfer.collect(dma(), after, endpoint.type == EndpointType::kControl)) {
    case Transfer::Found::kNothing:
      endpoint.rung = endpoint.waiting = false;
      return false;
    case Transfer::Found::kBroken:
      return give_up(EndpointState::kError, transfer.code());
    case Transfer::Found::kWhole:
      break;
  }
  if (device == nullptr) return give_up(EndpointState::kHalted, Code::kTransactionError);
  for (unsigned i = 0; i < kInterrupters; ++i)
    if (transfer.concerns(i) && !has_room(i, transfer.most_events())) return false;

  endpoint.rung = false;  // device_ready() may set it while the device is at work
  const Done done = carry_out(held, transfer, *device, index);
  if (done.code == Code::kInvalid) {
    endpoint.waiting = true;
    return true;
  }
  if (done.code != Code::kSuccess) return give_up(EndpointState::kHalted, done.code);
  endpoint.ring = after;
  endpoint.rung = true;
  endpoint.waiting = false;
  for (const Transfer::Event& event : transfer.events(slot, index, done.length))
    post(event.interrupter, event.trb, event.quiet);
  return true;
}

/// The lock is free while the device works. Nothing that belongs to the endpoint changes meanwhile: commands
/// are this thread's, and a reset waits.
XhciController::Done XhciController::carry_out(Lock& held, Transfer& transfer, usb::Device& device,
                                               unsigned index) {
  if (transfer.empty()) return {.code = Code::kSuccess};
  const bool control = index == 1;
  const bool in = control ? transfer.setup().is_in() : index % 2 != 0;
  held.unlock();
  Done done{.code = Code::kDataBufferError};
  if (transfer.prepare(dma(), in)) {
    const std::span<uint8_t> data = transfer.data();
    Result result{.answer = Answer::kDone};
    if (control) {
      result = device.control(transfer.setup(),
                              data.first(std::min<size_t>(data.size(), transfer.setup().length)));
    } else {
      result = in ? device.in(index / 2, data) : device.out(index / 2, data);
    }
    done = {.code = result.answer == Answer::kDone    ? Code::kSuccess
                    : result.answer == Answer::kStall ? Code::kStall
                                                      : Code::kInvalid,
            .length = in ? result.length : static_cast<uint32_t>(data.size())};
    if (done.code == Code::kSuccess && in && !transfer.deliver(dma(), result.length))
      done.code = Code::kDataBufferError;
  }
  held.lock();
  return done;
}

}  // namespace eidolon::device::usb
