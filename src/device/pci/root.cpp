#include "device/pci/root.h"

#include <algorithm>

#include "base/assert.h"
#include "base/bits.h"

namespace eidolon::device::pci {

Root::Root(memory::GuestMemory& memory, const interrupt::ApicBus& apics, interrupt::IrqRouter& irqs)
    : upstream_{.memory = memory, .apics = apics, .ports = ports_, .addresses = addresses_}, pirq_(irqs) {}

namespace {
constexpr unsigned kDevices = 32;
}

void Root::add(unsigned device, unsigned function, Function& occupant) {
  if (device >= kDevices) {
    ++left_out_;
    return;
  }
  EIDOLON_ASSERT(function < 8 && find(0, device << 3 | function) == nullptr);
  const auto number = [](const Place& place) { return place.device << 3 | place.function; };
  const auto at = std::ranges::upper_bound(places_, device << 3 | function, {}, number);
  places_.insert(at, {device, function, &occupant});
  IrqLine* pin = occupant.has_interrupt_pin() ? &pirq_.source(Pirq::line_of(device, 0)) : nullptr;
  occupant.connect(upstream_, pin);
  const auto same_device = [device](const Place& place) { return place.device == device; };
  if (std::ranges::count_if(places_, same_device) > 1)
    for (const Place& place : places_)
      if (place.device == device) place.occupant->mark_multifunction();
}

unsigned Root::free_device() const {
  unsigned device = 1;
  for (const Place& place : places_)
    if (place.device == device) ++device;
  return device;
}

Function* Root::find(unsigned bus, unsigned device_function) const {
  if (bus != 0) return nullptr;
  for (const Place& place : places_)
    if ((place.device << 3 | place.function) == device_function) return place.occupant;
  return nullptr;
}

uint32_t Root::config_read(unsigned bus, unsigned device_function, unsigned offset, unsigned size) const {
  Function* function = find(bus, device_function);
  return function == nullptr ? static_cast<uint32_t>(mask_below(size * 8))
                             : function->config_read(offset, size);
}

void Root::config_write(unsigned bus, unsigned device_function, unsigned offset, unsigned size,
                        uint32_t value) const {
  if (Function* function = find(bus, device_function)) function->config_write(offset, size, value);
}

}  // namespace eidolon::device::pci
