#include "device/pci/placement.h"

#include <optional>

#include "base/bits.h"
#include "base/try.h"
#include "device/pci/registers.h"

namespace eidolon::device::pci {

namespace {

/// Room for `size` bytes, taken from the range's start.
std::optional<uint64_t> take(Windows::Range& range, uint64_t size) {
  const uint64_t base = align_up(range.base, size);
  if (base < range.base || base > range.end || size > range.end - base) return std::nullopt;
  range.base = base + size;
  return base;
}

Result<> place_bar(Function& function, const Bar& bar, Windows& windows) {
  if (bar.kind() == BarKind::kRom) return {};  // left off: only firmware runs option ROMs
  std::optional<uint64_t> base = take(bar.is_io() ? windows.ports : windows.memory32, bar.size());
  if (!base && bar.is_64bit()) base = take(windows.memory64, bar.size());
  if (!base) {
    return fail("there is no room on the PCI bus for {} bytes of {}; leave out a device", bar.size(),
                function.name());
  }
  function.config_write(bar.offset(), 4, static_cast<uint32_t>(*base));
  if (bar.is_64bit()) function.config_write(bar.offset() + 4, 4, static_cast<uint32_t>(*base >> 32));
  return {};
}

}  // namespace

Result<> place(Root& root, HostBridge& bridge, Lpc& lpc, const Windows& windows) {
  Windows left = windows;
  bridge.enable_window(windows.config);
  lpc.enable_pm(windows.pm);
  for (unsigned line = 0; line < Pirq::kLines; ++line) lpc.route(line, irq_of_line(line));
  for (const Root::Place& at : root.places()) {
    Function& function = *at.occupant;
    for (const auto& bar : function.bars()) EIDOLON_TRY(place_bar(function, *bar, left));
    if (!function.bars().empty()) function.config_write(kCommand, 2, kCommandIo | kCommandMemory);
    if (function.has_interrupt_pin())
      function.config_write(kInterruptLine, 1, irq_of_line(Pirq::line_of(at.device, 0)));
  }
  return {};
}

}  // namespace eidolon::device::pci
