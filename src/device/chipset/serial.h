// The 16550A UART (National Semiconductor PC16550D datasheet, 1995).
//
// Transmission takes no time: a byte written to THR is handed to the sink at once, and the transmitter is
// empty again. A sink that makes its caller wait holds up those who send, and nobody else. Received bytes
// wait in a queue of the host's side and enter the FIFO as the guest makes room, so nothing is lost to an
// overrun that the host could avoid.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "device/device.h"

namespace eidolon::device {

class Serial final : public Device, public memory::IoHandler {
 public:
  static constexpr uint64_t kCom1 = 0x3f8;  ///< eight ports, IRQ 4
  static constexpr uint64_t kPorts = 8;
  static constexpr size_t kFifo = 16;
  /// Host bytes held back; receive() takes no more than fits.
  static constexpr size_t kBacklog = 4096;

  /// Gets what the guest sends, in its order, on the thread of a processor that sends: one call at a time. It
  /// may wait, but must not send.
  using Sink = std::function<void(std::span<const uint8_t>)>;

  Serial(IrqLine& irq, Sink sink, std::string name = "serial0");

  /// Bytes from the host, from any thread. Returns how many were taken; offer the rest again later.
  size_t receive(std::span<const uint8_t> bytes);
  /// Called, with the UART's lock held, when a full backlog has drained to half.
  void set_room_observer(std::function<void()> observer) { room_observer_ = std::move(observer); }
  /// A break condition on the line.
  void receive_break();

  [[nodiscard]] uint64_t io_read(uint64_t offset, unsigned size) override;
  void io_write(uint64_t offset, unsigned size, uint64_t value) override;

  [[nodiscard]] std::string_view name() const override { return name_; }
  void reset() override;
  void save(StateWriter& to) const override;
  void load(StateReader& from) override;

 private:
  [[nodiscard]] bool divisor_latch() const;
  [[nodiscard]] bool fifo_enabled() const;
  [[nodiscard]] bool loopback() const;
  uint8_t read_register(unsigned offset);
  void write_register(unsigned offset, uint8_t value);

  void transmit(uint8_t byte);
  void hand_over();
  uint8_t read_receiver();
  void push_receiver(uint8_t byte);
  void refill();
  [[nodiscard]] uint8_t line_status() const;
  uint8_t read_line_status();
  [[nodiscard]] uint8_t modem_lines() const;
  void update_modem();
  uint8_t read_modem_status();
  uint8_t read_interrupt_id();
  [[nodiscard]] uint8_t interrupt_id() const;
  void write_fifo_control(uint8_t value);
  void update_irq();

  template <typename Self, typename Stream>
  static void fields(Self& self, Stream& s) {
    s(self.divisor_, self.interrupt_enable_, self.fifo_control_, self.line_control_, self.modem_control_,
      self.scratch_, self.line_errors_, self.modem_last_, self.modem_delta_, self.transmit_pending_,
      self.fifo_, self.fifo_head_, self.fifo_count_);
  }

  std::mutex sink_mutex_;         ///< before mutex_; held while the sink is called
  std::vector<uint8_t> sending_;  ///< what the sink is called with; empty otherwise

  mutable std::mutex mutex_;  ///< guards what follows; before everything in interrupt/irq_line.h
  IrqLine& irq_;
  const Sink sink_;
  const std::string name_;
  std::function<void()> room_observer_;

  uint16_t divisor_ = 12;  ///< 9600 baud
  uint8_t interrupt_enable_ = 0;
  uint8_t fifo_control_ = 0;
  uint8_t line_control_ = 0;
  uint8_t modem_control_ = 0;
  uint8_t scratch_ = 0;
  uint8_t line_errors_ = 0;        ///< error bits of LSR, cleared by reading it
  uint8_t modem_last_ = 0;         ///< the input lines when MSR was last brought up to date
  uint8_t modem_delta_ = 0;        ///< low half of MSR
  bool transmit_pending_ = false;  ///< the THRE interrupt is due and not yet seen in IIR
  std::array<uint8_t, kFifo> fifo_{};
  uint8_t fifo_head_ = 0;
  uint8_t fifo_count_ = 0;

  std::deque<uint8_t> backlog_;  ///< host bytes that wait for room: not part of the guest's state
  bool backlog_was_full_ = false;
  std::vector<uint8_t> outgoing_;  ///< written, and not yet the sink's: a few bytes of each processor at most
};

}  // namespace eidolon::device
