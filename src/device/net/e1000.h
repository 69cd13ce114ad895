// Intel's 82540EM, the network card that other monitors call e1000, 8086:100e (PCI/PCI-X Family of Gigabit
// Ethernet Controllers Software Developer's Manual, 317453): registers in memory and by a window of ports,
// and the life of the card. What it sends and receives, its interrupts, EEPROM and transceiver are in the
// other e1000_ files.
//
// The network's thread does the copying: a write of a tail only wakes it. One lock guards it all.
#pragma once

#include <mutex>

#include "device/holdable.h"
#include "device/net/e1000_eeprom.h"
#include "device/net/e1000_phy.h"
#include "device/net/e1000_receive.h"
#include "device/net/e1000_transmit.h"
#include "device/pci/function.h"

namespace eidolon::device::net {

class E1000 final : public pci::Function, public Holdable, private Card, private memory::IoHandler {
 public:
  /// `link` outlives the card.
  E1000(std::string name, TimerQueue& timers, Link& link, const MacAddress& address);
  ~E1000() override;

  [[nodiscard]] bool hold(std::chrono::milliseconds patience) override;
  void release() override;

 protected:
  void connected() override { link_.plug(this); }
  void reset_device() override;
  void save_device(StateWriter& to) const override;
  void load_device(StateReader& from) override;
  void loaded() override;
  void config_written(unsigned offset, unsigned size) override;

 private:
  /// BAR 1: an address and the register there (13.2.2).
  class Ports final : public memory::IoHandler {
   public:
    explicit Ports(E1000& card) : card_(card) {}
    [[nodiscard]] uint64_t io_read(uint64_t offset, unsigned size) override;
    void io_write(uint64_t offset, unsigned size, uint64_t value) override;

   private:
    E1000& card_;
  };

  // Card
  [[nodiscard]] bool next_frame(std::vector<uint8_t>& frame) override;
  [[nodiscard]] bool receive(std::span<const uint8_t> frame) override;
  void set_link(bool up) override;

  // memory::IoHandler: BAR 0
  [[nodiscard]] uint64_t io_read(uint64_t offset, unsigned size) override;
  void io_write(uint64_t offset, unsigned size, uint64_t value) override;

  // With the lock held. `offset` is a multiple of 4.
  [[nodiscard]] uint32_t read_register(uint32_t offset);
  void write_register(uint32_t offset, uint32_t value);
  void write_control(uint32_t value);
  void write_mdic(uint32_t value);
  [[nodiscard]] uint32_t status() const;
  void reset_mac();
  [[nodiscard]] bool loops_back() const;
  void wake_to_send();

  Link& link_;
  mutable std::mutex mutex_;  ///< guards what follows; before the function's
  e1000::Bank bank_;
  e1000::Counters counters_;
  e1000::Filter filter_;
  e1000::Eeprom eeprom_;
  e1000::Phy phy_;
  e1000::Ring receive_ring_, transmit_ring_;
  uint32_t mdic_ = 0;
  uint32_t port_address_ = 0;
  bool held_ = false;     ///< frames wait on both sides
  bool sending_ = false;  ///< the network's thread is going to ask for a frame
  Ports ports_{*this};
  e1000::Interrupts interrupts_;
  e1000::Transmitter transmitter_{bank_, counters_, interrupts_};
  e1000::Receiver receiver_{bank_, filter_, counters_, interrupts_};
};

}  // namespace eidolon::device::net
