// The console device (virtio 1.2, 5.3): one port for a console (hvc0 in Linux), and any number of named ports
// for programs (/dev/vport0p1), each a stream of bytes to a device::Channel.
//
// Channels' threads do the copying: the guest's notification only wakes them. What a channel does not take
// stays in the guest's queue.
#pragma once

#include <memory>
#include <optional>

#include "device/channel.h"
#include "device/virtio/device.h"

namespace eidolon::device::virtio {

class Console final : public Device {
 public:
  static constexpr unsigned kMostPorts = 31;  ///< besides the console

  struct Named {
    std::string name;
    Channel* channel;
  };
  /// Channels outlive the device. `console` may be null.
  Console(std::string name, Channel* console, const std::vector<Named>& ports);
  ~Console() override;

  [[nodiscard]] bool hold(std::chrono::milliseconds patience) override;
  void release() override;

 protected:
  void queue_notified(unsigned queue) override;
  void driver_ready() override;
  void reset_device() override;
  [[nodiscard]] std::vector<uint8_t> config() override;
  void save_device(StateWriter& to) const override;
  void load_device(StateReader& from) override;

 private:
  /// What the driver is to be told of a port, in the order in which it is told.
  enum Message : uint8_t { kAdd = 1, kConsole = 2, kName = 4, kOpen = 8, kSize = 16 };

  /// By its number. Number 0 is the console's, whether there is one or not.
  class Line final : public Port {
   public:
    Line(Console& device, unsigned line_number, std::string line_name, Channel* line_channel)
        : number(line_number), name(std::move(line_name)), channel(line_channel), device_(device) {}
    [[nodiscard]] size_t send_some(std::span<uint8_t> to) override { return device_.send_some(*this, to); }
    [[nodiscard]] size_t receive(std::span<const uint8_t> bytes) override {
      return device_.receive(*this, bytes);
    }
    void channel_changed() override { device_.channel_changed(*this); }
    [[nodiscard]] unsigned receive_queue() const { return number == 0 ? 0 : 2 * number + 2; }
    [[nodiscard]] unsigned transmit_queue() const { return receive_queue() + 1; }
    void reset();

    const unsigned number;
    const std::string name;
    Channel* const channel;  ///< null: there is no such port
    // Under the device's lock.
    bool ready = false;            ///< the driver knows the port
    bool open = false;             ///< and a program, or its console, uses it
    bool told_connected = false;   ///< what the driver knows
    uint8_t owed = 0;              ///< Messages
    std::optional<Chain> sending;  ///< the buffer that the channel is taking
    uint64_t sent = 0;             ///< bytes of it

   private:
    Console& device_;
  };

  // By channels' threads.
  size_t send_some(Line& line, std::span<uint8_t> to);
  size_t receive(Line& line, std::span<const uint8_t> bytes);
  void channel_changed(Line& line);

  // With the lock held.
  [[nodiscard]] bool next(unsigned queue, Chain& chain);
  [[nodiscard]] bool is_open(const Line& line) const;
  void take_messages();
  void take_message(uint32_t number, uint16_t event, uint16_t value);
  void catch_up(Line& line);
  void tell();
  [[nodiscard]] std::vector<uint8_t> message(const Line& line, Message what) const;
  void wake_all();

  std::vector<std::unique_ptr<Line>> lines_;
  bool held_ = false;  ///< bytes and messages wait on both sides
};

}  // namespace eidolon::device::virtio
