// The PIRQ lines of the ICH9 (datasheet, 5.8.6 and 13.1): each goes to a pin of the I/O APIC of its own, 16
// to 23, and to an interrupt of the 8259 pair if its routing register says so. Levels are shared: a line is
// the OR of its sources.
#pragma once

#include <array>
#include <deque>
#include <mutex>

#include "interrupt/irq_line.h"
#include "interrupt/irq_router.h"

namespace eidolon::device::pci {

class Pirq {
 public:
  static constexpr unsigned kLines = 8;  ///< A to H
  static constexpr unsigned kFirstPin = 16;
  static constexpr uint8_t kNotRouted = 0x80;

  explicit Pirq(interrupt::IrqRouter& irqs);

  /// A new source on a line, 0 for A. Lives as long as this. While the machine is wired.
  [[nodiscard]] interrupt::IrqLine& source(unsigned line);
  /// The routing register: kNotRouted, or the 8259's interrupt in the low four bits.
  void route(unsigned line, uint8_t value);

  /// Where INTA# to INTD# (0 to 3) of a device on the root bus leads.
  [[nodiscard]] static constexpr unsigned line_of(unsigned device, unsigned pin) {
    return device < 25 ? (device + pin) % 4 : pin;
  }

 private:
  class Source final : public interrupt::IrqLine {
   public:
    Source(Pirq& pirq, unsigned line) : pirq_(pirq), line_(line) {}
    void set(bool level) override { pirq_.set(*this, level); }

   private:
    friend class Pirq;
    Pirq& pirq_;
    const unsigned line_;
    bool level_ = false;
  };
  void set(Source& source, bool level);
  void update_isa();

  std::mutex mutex_;  ///< after a device's and a function's, before IrqRouter's
  std::deque<Source> sources_;
  std::array<unsigned, kLines> asserted_{};
  std::array<uint8_t, kLines> routes_{};
  std::array<interrupt::IrqLine*, kLines> pins_;
  std::array<interrupt::IrqLine*, 16> isa_{};  ///< those that a PIRQ can be routed to
};

}  // namespace eidolon::device::pci
