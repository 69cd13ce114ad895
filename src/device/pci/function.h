// One PCI function: its configuration space with the standard registers, and what they do. The base of every
// device on the bus. A device of a few registers is
//
//   class Rng : public pci::Function, public memory::IoHandler {
//    public:
//     Rng() : Function("rng0", {.vendor = 0x1234, .device = 0x11e8, .class_code = 0x108000}) {
//       add_bar(0, pci::BarKind::kMemory32, 0x1000, *this);
//       add_msix(1, 1);       // BAR 1 holds the table of one vector
//       add_express();        // function level reset
//     }
//     ... io_read, io_write, reset_device, save_device, load_device
//
// Locks: config_order_, then the device's own lock, then the function's mutex_, then those of MsiX,
// AddressMap and the interrupt controllers. config_order_ is held across a whole access to configuration
// space, with all that follows from it: of two processors' accesses, one is over before the other begins.
// Hooks but connected() are called with it and nothing else of ours held. A device's threads never take it,
// so a hook may wait for them.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "device/device.h"
#include "device/dma.h"
#include "device/pci/bar.h"
#include "device/pci/config_space.h"
#include "device/pci/express.h"
#include "device/pci/msi.h"
#include "device/pci/msix.h"
#include "device/pci/upstream.h"

namespace eidolon::device::pci {

struct Identity {
  uint16_t vendor;
  uint16_t device;
  uint32_t class_code;  ///< base class, subclass and interface, 24 bits
  uint8_t revision = 0;
  uint16_t subsystem_vendor = 0;
  uint16_t subsystem = 0;
};

class Function : public Device {
 public:
  Function(std::string name, const Identity& identity);

  /// By the root, while the machine is wired. `pin` is where INTA# of this function leads; null: nowhere.
  void connect(const Upstream& upstream, IrqLine* pin);
  /// Sets header type bit 7: the device has other functions too.
  void mark_multifunction();

  // The guest's accesses. `size` is 1, 2 or 4.
  [[nodiscard]] uint32_t config_read(unsigned offset, unsigned size);
  void config_write(unsigned offset, unsigned size, uint32_t value);

  [[nodiscard]] const std::vector<std::unique_ptr<Bar>>& bars() const { return bars_; }
  [[nodiscard]] bool has_interrupt_pin() const { return has_pin_; }

  [[nodiscard]] std::string_view name() const final { return name_; }
  void reset() final;
  void save(StateWriter& to) const final;
  void load(StateReader& from) final;

 protected:
  // For the constructors of devices.
  [[nodiscard]] ConfigSpace& config() { return config_; }
  /// `window`: what the handler stands for is memory, which the guest can use at its own speed.
  void add_bar(unsigned index, BarKind kind, uint64_t size, memory::IoHandler& handler,
               const memory::Region* window = nullptr);
  void add_msi(unsigned vectors);
  void add_msix(unsigned bar, unsigned vectors);
  void add_power();
  void add_express();
  /// INTA#, for devices that know interrupt wires.
  void add_interrupt_pin();

  // Interrupts: a device that has messages enabled uses them, else its wire. From any thread.
  /// MSI-X or MSI is enabled.
  [[nodiscard]] bool uses_messages() const;
  void send_message(unsigned vector);
  /// The level that the device asks for; the command register may keep it from the wire.
  void set_interrupt(bool level);

  /// A write at `offset` into BAR `index`, one of memory, may raise `event` in place of a call of the
  /// handler, where the engine can do that; the handler knows what is to be done, too. In connected().
  void add_doorbell(unsigned index, uint64_t offset, int event);

  /// Only once connect() was called. Honours bus master enable and the power state.
  [[nodiscard]] Dma& dma() { return *dma_; }

  // What a device adds.
  /// connect() was called: dma() can be used.
  virtual void connected() {}
  /// To the power-on state: power-on itself, a function level reset, or a load that failed.
  virtual void reset_device() = 0;
  virtual void save_device(StateWriter& to) const = 0;
  virtual void load_device(StateReader& from) = 0;
  /// A snapshot was loaded: what follows from config() is to be made true.
  virtual void loaded() {}
  /// Software has written [offset, offset + size) of configuration space.
  virtual void config_written(unsigned /*offset*/, unsigned /*size*/) {}
  /// A read is about to happen: a register that is computed is to be put into config() now (with_config).
  virtual void before_config_read(unsigned /*offset*/, unsigned /*size*/) {}

  /// Runs `body(ConfigSpace&)` under the function's lock. In a hook, software changes nothing from one call
  /// to the next; only status bits of the device's own may move.
  template <typename Body>
  auto with_config(Body body) const {
    std::lock_guard lock(mutex_);
    return body(config_);
  }

 private:
  // With config_order_ held.
  void reset_all();
  void reset_config();
  void show_memory();
  // With mutex_ held.
  void apply();
  void update_windows();
  [[nodiscard]] std::optional<uint64_t> window_address(const Bar& bar) const;
  void update_wire();

  const std::string name_;
  mutable std::mutex config_order_;  ///< the guest's accesses to configuration space, resets, snapshots
  mutable std::mutex mutex_;         ///< guards config_, what capabilities keep, and interrupt_
  mutable ConfigSpace config_;
  std::vector<std::unique_ptr<Bar>> bars_;
  std::optional<Msi> msi_;
  std::optional<MsiX> msix_;
  std::optional<Power> power_;
  std::optional<Express> express_;
  std::vector<Capability*> capabilities_;
  std::optional<Dma> dma_;
  const Upstream* upstream_ = nullptr;
  IrqLine* wire_ = nullptr;
  bool has_pin_ = false;
  bool interrupt_ = false;  ///< the device asks
};

}  // namespace eidolon::device::pci
