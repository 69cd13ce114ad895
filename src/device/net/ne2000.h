// The NE2000: a DP8390, its memory behind one data port, and a port that resets it. On an ISA bus, or on PCI
// as Realtek's RTL8029(AS), 10ec:8029.
//
// The network's thread does what goes over the wire. A real card loses what finds no room in its ring (OVW);
// here the network keeps it until the driver has read on.
#pragma once

#include <functional>
#include <mutex>
#include <string>

#include "device/holdable.h"
#include "device/net/dp8390.h"
#include "device/pci/function.h"

namespace eidolon::device::net {

/// The card, on whichever bus. One lock.
class Ne2000 final : public memory::IoHandler, private Card {
 public:
  static constexpr uint64_t kPorts = 32;

  /// `link` outlives the card. `interrupt` is called with the lock held, when the level changes.
  Ne2000(Link& link, const MacAddress& address, std::function<void(bool)> interrupt);
  ~Ne2000() override;

  [[nodiscard]] uint64_t io_read(uint64_t offset, unsigned size) override;
  void io_write(uint64_t offset, unsigned size, uint64_t value) override;

  void reset();
  void save(StateWriter& to) const;
  void load(StateReader& from);
  void hold();
  void release();

 private:
  // Card
  [[nodiscard]] bool next_frame(std::vector<uint8_t>& frame) override;
  [[nodiscard]] bool receive(std::span<const uint8_t> frame) override;
  void set_link(bool up) override;

  void update();

  Link& link_;
  const MacAddress address_;
  const std::function<void(bool)> interrupt_;
  mutable std::mutex mutex_;  ///< guards what follows
  Dp8390 chip_;
  bool level_ = false;
  bool held_ = false;     ///< frames wait on both sides
  bool waiting_ = false;  ///< the network has a frame that found no room
  bool up_ = true;
};

class Ne2000Isa final : public Device, public Holdable {
 public:
  /// As the jumpers of the original are when it is sold; for a second one.
  static constexpr std::array<uint64_t, 2> kPorts = {0x300, 0x320};
  static constexpr std::array<unsigned, 2> kIrqs = {3, 5};

  Ne2000Isa(std::string name, IrqLine& irq, Link& link, const MacAddress& address);
  [[nodiscard]] memory::IoHandler& ports() { return card_; }

  [[nodiscard]] std::string_view name() const override { return name_; }
  void reset() override { card_.reset(); }
  void save(StateWriter& to) const override;
  void load(StateReader& from) override;
  [[nodiscard]] bool hold(std::chrono::milliseconds patience) override;
  void release() override { card_.release(); }

 private:
  const std::string name_;
  Ne2000 card_;
};

class Ne2000Pci final : public pci::Function, public Holdable {
 public:
  Ne2000Pci(std::string name, Link& link, const MacAddress& address);
  [[nodiscard]] bool hold(std::chrono::milliseconds patience) override;
  void release() override { card_.release(); }

 protected:
  void reset_device() override { card_.reset(); }
  void save_device(StateWriter& to) const override { card_.save(to); }
  void load_device(StateReader& from) override { card_.load(from); }

 private:
  Ne2000 card_;
};

}  // namespace eidolon::device::net
