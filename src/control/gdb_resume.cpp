// What of GdbSession is about running: vCont and its elders, and why it stopped (GDB manual, appendix E.2
// "Packets" and E.3 "Stop Reply Packets").
#include <fmt/format.h>

#include "control/gdb_packets.h"
#include "control/gdb_session.h"
#include "cpu/debug.h"

namespace eidolon::control {

namespace {

constexpr uint8_t kSoftware = 1;

/// An action of vCont; signals mean nothing to a processor.
std::optional<GdbTarget::Order> take_action(std::string_view& text) {
  const char action = text.empty() ? '\0' : text.front();
  if (action != 'c' && action != 's' && action != 'C' && action != 'S') return std::nullopt;
  text.remove_prefix(1);
  if ((action == 'C' || action == 'S') && !take_number(text)) return std::nullopt;
  return action == 'c' || action == 'C' ? GdbTarget::Order::kRun : GdbTarget::Order::kStep;
}

}  // namespace

/// vCont;action[:thread]... For each thread the first that names it, or names none, counts.
GdbSession::Reply GdbSession::resume(Text actions) {
  if (!take(actions, "Cont")) return "";
  if (actions == "?") return "vCont;c;C;s;S";
  std::vector<std::optional<Order>> chosen(target_.processors());
  while (!actions.empty()) {
    if (!take(actions, ";")) return kGdbInvalid;
    const auto order = take_action(actions);
    if (!order) return kGdbInvalid;
    const auto choose = [&](std::optional<Order>& of) { of = of.value_or(*order); };
    if (!take(actions, ":") || take(actions, "-1")) {
      for (auto& of : chosen) choose(of);
    } else if (const auto processor = take_thread(actions)) {
      choose(chosen[*processor]);
    } else {
      return kGdbGone;
    }
  }
  std::vector<Order> orders;
  bool moves = false;
  for (const auto& order : chosen) {
    orders.push_back(order.value_or(Order::kStand));
    moves |= order.has_value();
  }
  return moves ? let_go(orders) : Reply(kGdbInvalid);
}

/// c and s with an address, C and S with a signal and perhaps an address.
GdbSession::Reply GdbSession::resume_plainly(char action, Text address) {
  const bool steps = action == 's' || action == 'S';
  if (action == 'C' || action == 'S') {
    if (!take_number(address)) return kGdbInvalid;
    (void)take(address, ";");
  }
  if (!address.empty()) {
    const auto from = take_number(address);
    if (!from || !address.empty()) return kGdbInvalid;
    if (!target_.visit(to_continue_, [&](cpu::State& state) { state.rip = *from; })) return kGdbGone;
  }
  std::vector<Order> orders(target_.processors(), steps ? Order::kStand : Order::kRun);
  if (steps) orders[to_continue_] = Order::kStep;
  return let_go(orders);
}

/// The answer is the next stop.
GdbSession::Reply GdbSession::let_go(const std::vector<Order>& orders) {
  running_ = true;
  target_.go_on(orders);
  return std::nullopt;
}

GdbSession::Reply GdbSession::interrupt() {
  if (!attached_ || !running_) return std::nullopt;
  target_.hold();
  if (auto stop = look_for_stop()) return stop;
  running_ = false;
  last_stop_ = stop_reply(kSigInt);
  return last_stop_;
}

GdbSession::Reply GdbSession::look_for_stop() {
  if (!attached_ || !running_) return std::nullopt;
  const auto stop = target_.take_stop();
  if (!stop) return std::nullopt;
  running_ = false;
  looked_at_ = to_continue_ = stop->processor;
  last_stop_ = stop_reply(kSigTrap);
  if (stop->why != GdbTarget::Stop::Why::kBreakpoint || !knows_kinds_) return last_stop_;
  // Of which type it is tells GDB that RIP is that of the instruction itself.
  uint64_t linear = 0;
  const auto read = [&](const cpu::State& state) { linear = cpu::linear_rip(state); };
  const auto found = target_.visit(looked_at_, read) ? breakpoints_.find(linear) : breakpoints_.end();
  if (found != breakpoints_.end()) last_stop_ += (found->second & kSoftware) != 0 ? "swbreak:;" : "hwbreak:;";
  return last_stop_;
}

GdbSession::Reply GdbSession::end() {
  if (!attached_ || !running_) return std::nullopt;
  running_ = false;
  return "W00";
}

std::string GdbSession::stop_reply(unsigned signal) {
  return fmt::format("T{:02x}thread:{:x};", signal, looked_at_ + 1);
}

}  // namespace eidolon::control
