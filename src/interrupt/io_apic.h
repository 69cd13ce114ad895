// The I/O APIC (Intel 82093AA datasheet, 290566; version 0x20 adds the EOI register, ICH9 13.5).
#pragma once

#include <array>
#include <functional>
#include <mutex>

#include "base/state_stream.h"
#include "interrupt/apic_bus.h"
#include "memory/io_handler.h"

namespace eidolon::interrupt {

class IoApic final : public memory::IoHandler, public Stateful {
 public:
  static constexpr uint64_t kAddress = 0xfec00000;
  static constexpr uint64_t kLength = 0x1000;
  static constexpr unsigned kPins = 24;

  explicit IoApic(ApicBus& bus, uint8_t id = 0) : bus_(bus), initial_id_(id) { reset(); }

  /// `level` is true when the wire is asserted, whatever its polarity.
  void set_pin(unsigned pin, bool level);
  void end_of_interrupt(uint8_t vector);
  /// An EOI that whoever kept the local APICs has not told yet: what no local APIC holds any more is over.
  void finish_unless(const std::function<bool(uint8_t vector)>& held);
  /// Tells the bus of all level-triggered pins (ApicBus::route).
  void announce_routes();

  [[nodiscard]] uint64_t io_read(uint64_t offset, unsigned size) override;
  void io_write(uint64_t offset, unsigned size, uint64_t value) override;

  [[nodiscard]] std::string_view name() const override { return "ioapic"; }
  void reset() override;
  void save(StateWriter& to) const override;
  void load(StateReader& from) override;

 private:
  [[nodiscard]] uint32_t read_register() const;
  void write_register(uint32_t value);
  void write_entry(unsigned pin, bool high, uint32_t value);
  [[nodiscard]] ApicMessage message(unsigned pin) const;
  void announce(unsigned pin) const;
  void deliver(unsigned pin);
  void finish(uint8_t vector);

  mutable std::mutex mutex_;  ///< lock order: irq_line.h
  ApicBus& bus_;
  const uint8_t initial_id_;
  uint8_t id_ = 0;
  uint8_t select_ = 0;
  uint32_t pins_ = 0;  ///< asserted pins
  std::array<uint64_t, kPins> entries_{};
};

}  // namespace eidolon::interrupt
