// The root bus: which function sits where, and how configuration accesses find it (PCI Express
// Base 4.0, 7.2). Bus 0 is the only one; a function that is not there reads as all ones.
#pragma once

#include <vector>

#include "device/pci/address_map.h"
#include "device/pci/function.h"
#include "device/pci/pirq.h"
#include "device/pci/upstream.h"

namespace eidolon::device::pci {

class Root {
 public:
  struct Place {
    unsigned device;    ///< 0 to 31
    unsigned function;  ///< 0 to 7
    Function* occupant;
  };

  Root(memory::GuestMemory& memory, const interrupt::ApicBus& apics, interrupt::IrqRouter& irqs);

  /// While the machine is wired. The function outlives the machine's run. A bus has 32 devices: what is added
  /// after them finds no place, and no machine is to be run with it (left_out).
  void add(unsigned device, unsigned function, Function& occupant);
  /// How many have found no place.
  [[nodiscard]] unsigned left_out() const { return left_out_; }
  /// The lowest device number from 1 on that is free; 32: there is none.
  [[nodiscard]] unsigned free_device() const;
  /// In the order of their numbers.
  [[nodiscard]] const std::vector<Place>& places() const { return places_; }

  // The guest's accesses. `size` is 1, 2 or 4, and `offset` is below 4096.
  [[nodiscard]] uint32_t config_read(unsigned bus, unsigned device_function, unsigned offset,
                                     unsigned size) const;
  void config_write(unsigned bus, unsigned device_function, unsigned offset, unsigned size,
                    uint32_t value) const;

  [[nodiscard]] AddressMap& ports() { return ports_; }
  [[nodiscard]] AddressMap& addresses() { return addresses_; }
  [[nodiscard]] Pirq& pirq() { return pirq_; }

 private:
  [[nodiscard]] Function* find(unsigned bus, unsigned device_function) const;

  AddressMap ports_;
  AddressMap addresses_;
  Upstream upstream_;
  Pirq pirq_;
  std::vector<Place> places_;
  unsigned left_out_ = 0;
};

}  // namespace eidolon::device::pci
