// One debugger's session: what the packets of GDB's remote serial protocol mean (GDB manual, appendix E "GDB
// Remote Serial Protocol"). All-stop mode; a thread is a processor, and thread N has number N - 1. What it
// does not know it answers with an empty packet, as the protocol has it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/gdb_target.h"

namespace eidolon::control {

class GdbSession {
 public:
  /// Nothing happens to `target`, which outlives it, before the first packet.
  explicit GdbSession(GdbTarget& target) : target_(target) {}
  ~GdbSession() { leave(); }
  GdbSession(const GdbSession&) = delete;
  GdbSession& operator=(const GdbSession&) = delete;

  /// What is to be answered to a packet; nothing: nothing yet, or ever.
  [[nodiscard]] std::optional<std::string> answer(std::string_view packet);
  /// Ctrl-C came.
  [[nodiscard]] std::optional<std::string> interrupt();
  /// The target may have stopped by itself: what is to be told of it, if anything.
  [[nodiscard]] std::optional<std::string> look_for_stop();
  /// The target is gone for good: likewise.
  [[nodiscard]] std::optional<std::string> end();

  /// It has sent a packet, and has not detached.
  [[nodiscard]] bool attached() const { return attached_; }
  /// The debugger takes the machine to run. Another one that takes its place is to begin so, with these
  /// breakpoints.
  [[nodiscard]] bool running() const { return running_; }
  [[nodiscard]] std::vector<uint64_t> breakpoints() const;
  /// It has asked for packets to be acknowledged no more.
  [[nodiscard]] bool without_acks() const { return without_acks_; }

 private:
  using Text = std::string_view;
  using Reply = std::optional<std::string>;
  using Order = GdbTarget::Order;

  void attach();
  void leave();
  Reply carry_out(Text packet);
  // gdb_queries.cpp
  Reply query(Text text);
  Reply set(Text text);
  [[nodiscard]] std::string supported(Text text);
  [[nodiscard]] std::string thread_list() const;
  [[nodiscard]] std::string describe_thread(Text id);
  // gdb_resume.cpp
  Reply resume(Text actions);
  Reply resume_plainly(char action, Text address);
  Reply let_go(const std::vector<Order>& orders);
  static constexpr unsigned kSigInt = 2, kSigTrap = 5;
  [[nodiscard]] std::string stop_reply(unsigned signal);

  std::string choose_thread(Text text);
  [[nodiscard]] std::string read_registers();
  std::string write_registers(Text digits);
  [[nodiscard]] std::string read_register(Text number);
  std::string write_register(Text text);
  [[nodiscard]] std::string read_memory(Text text);
  std::string write_memory(Text text, bool binary);
  std::string set_breakpoint(Text text, bool there);
  std::string add_breakpoint(uint64_t address, uint8_t kind);
  /// The number of a processor: "-1" and "0" are the one that there is always.
  [[nodiscard]] std::optional<size_t> take_thread(Text& text) const;

  GdbTarget& target_;
  bool attached_ = false, running_ = false, without_acks_ = false, knows_kinds_ = false;
  size_t looked_at_ = 0;    ///< by registers and memory
  size_t to_continue_ = 0;  ///< by c and s
  std::string last_stop_;
  std::map<uint64_t, uint8_t> breakpoints_;  ///< bit n: set as type n
};

// Errors, by the numbers of errno as QEMU writes them; clients tell them apart no further.
inline constexpr const char* kGdbGone = "E03";      ///< ESRCH
inline constexpr const char* kGdbUnmapped = "E14";  ///< EFAULT
inline constexpr const char* kGdbInvalid = "E22";   ///< EINVAL
inline constexpr size_t kGdbMostBreakpoints = 4096;

}  // namespace eidolon::control
