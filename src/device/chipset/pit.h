// The PC's 8254 interval timer, and port 0x61, which gates its channel 2 and the speaker.
//
// Channel 0 drives IRQ 0. Its host timer runs only while the channel is due to raise OUT, and no more often
// than every kShortestPeriod: ticks that a guest asks for faster than that are merged.
#pragma once

#include <array>
#include <mutex>

#include "base/clock.h"
#include "device/chipset/pit_channel.h"
#include "device/device.h"
#include "memory/io_window.h"

namespace eidolon::device {

class Pit final : public Device {
 public:
  static constexpr uint64_t kPort = 0x40;         ///< four ports
  static constexpr uint64_t kSpeakerPort = 0x61;  ///< one port
  static constexpr int64_t kHz = 1'193'182;
  static constexpr Nanoseconds kShortestPeriod = 50'000;

  Pit(TimerQueue& timers, IrqLine& irq);

  [[nodiscard]] memory::IoHandler& ports() { return window_; }
  [[nodiscard]] memory::IoHandler& speaker_port() { return speaker_window_; }

  [[nodiscard]] std::string_view name() const override { return "pit"; }
  void reset() override;
  void save(StateWriter& to) const override;
  void load(StateReader& from) override;

 private:
  [[nodiscard]] PitTicks now() const;
  uint8_t read(unsigned offset);
  void write(unsigned offset, uint8_t value);
  void write_control(uint8_t value);
  uint8_t read_speaker(unsigned offset);
  void write_speaker(unsigned offset, uint8_t value);
  void arm(Nanoseconds not_before);
  void expired();

  mutable std::mutex mutex_;  ///< before everything in interrupt/irq_line.h
  TimerQueue& timers_;
  IrqLine& irq_;
  std::array<PitChannel, 3> channels_;
  uint8_t speaker_ = 0;   ///< bits 0 to 3 of port 0x61 as written
  Nanoseconds rise_ = 0;  ///< when channel 0 rises, while the timer is armed; -1: it does not
  memory::ByteWindow<Pit, &Pit::read, &Pit::write> window_{*this};
  memory::ByteWindow<Pit, &Pit::read_speaker, &Pit::write_speaker> speaker_window_{*this};
  Timer timer_;
};

}  // namespace eidolon::device
