#include "device/storage/ahci.h"

#include <optional>

#include "base/bits.h"

namespace eidolon::device::storage {

namespace {
constexpr uint64_t kBarBytes = 0x1000;
constexpr unsigned kBar = 5;
// Configuration space: the address map says AHCI, and all ports are enabled (ICH9
// datasheet, 15.1.32, 15.1.33).
constexpr unsigned kMap = 0x90, kPortControl = 0x92;
constexpr uint8_t kMapAhci = 0x40;
constexpr uint16_t kAllPorts = 0x3f;

/// Registers in which a written one has an effect and a zero none.
bool acts_on_ones(uint32_t offset) {
  if (offset < ahci::kFirstPort) return offset == ahci::kIs;
  const uint32_t in_port = (offset - ahci::kFirstPort) % ahci::kPortBytes;
  return in_port == ahci::kPxIs || in_port == ahci::kSerr || in_port == ahci::kSact || in_port == ahci::kCi;
}
}  // namespace

Ahci::Ahci(std::string name)
    : Function(std::move(name), {.vendor = 0x8086, .device = 0x2922, .class_code = 0x010601, .revision = 2}),
      pool_(mutex_, kThreads, [this](Lock& lock) { return work(lock); }) {
  config().define<uint8_t>(kMap, kMapAhci);
  config().define<uint16_t>(kPortControl, kAllPorts, kAllPorts);
  add_bar(kBar, pci::BarKind::kMemory32, kBarBytes, *this);
  add_msi(1);
  add_power();
  add_interrupt_pin();
}

void Ahci::connected() {
  for (ahci::Port& port : ports_) port.connect(dma());
}

uint64_t Ahci::io_read(uint64_t offset, unsigned size) {
  const Lock lock(mutex_);
  uint64_t value = 0;
  for (unsigned done = 0; done < size;) {
    const auto at = static_cast<uint32_t>(offset) + done;
    const unsigned part = std::min(size - done, 4 - at % 4);
    value |= (uint64_t{read(at & ~3u)} >> (8 * (at % 4)) & mask_below(8 * part)) << (8 * done);
    done += part;
  }
  return value;
}

void Ahci::io_write(uint64_t offset, unsigned size, uint64_t value) {
  Lock lock(mutex_);
  for (unsigned done = 0; done < size;) {
    const auto at = static_cast<uint32_t>(offset) + done;
    const unsigned part = std::min(size - done, 4 - at % 4), shift = 8 * (at % 4);
    const auto lanes = static_cast<uint32_t>(mask_below(8 * part) << shift);
    const uint32_t given = static_cast<uint32_t>(value >> (8 * done) << shift) & lanes;
    write(at & ~3u, given, lanes, lock);
    done += part;
  }
}

uint32_t Ahci::read(uint32_t offset) const {
  if (offset >= ahci::kFirstPort) {
    const uint32_t port = (offset - ahci::kFirstPort) / ahci::kPortBytes;
    return port < kPorts ? ports_[port].read((offset - ahci::kFirstPort) % ahci::kPortBytes) : 0;
  }
  switch (offset) {
    case ahci::kCap:
      return ahci::kCapFixed | (kPorts - 1);
    case ahci::kGhc:
      return ghc_;
    case ahci::kIs:
      return is_;
    case ahci::kPi:
      return (1u << kPorts) - 1;
    case ahci::kVs:
      return ahci::kVersion;
    default:
      return 0;
  }
}

/// The whole register, of which only `lanes` are written.
uint32_t Ahci::merged(uint32_t offset, uint32_t value, uint32_t lanes) const {
  return acts_on_ones(offset) ? value : (read(offset) & ~lanes) | value;
}

void Ahci::write(uint32_t offset, uint32_t value, uint32_t lanes, Lock& lock) {
  if (offset >= ahci::kFirstPort) {
    const uint32_t number = (offset - ahci::kFirstPort) / ahci::kPortBytes;
    if (number >= kPorts) return;
    ahci::Port& port = ports_[number];
    const uint32_t in_port = (offset - ahci::kFirstPort) % ahci::kPortBytes;
    std::optional<QuietPool> quiet;
    if (port.stops(in_port, merged(offset, value, lanes))) quiet.emplace(pool_, lock);
    port.write(in_port, merged(offset, value, lanes));
    if (in_port == ahci::kCi) pool_.wake();
    update_interrupt(false);
  } else if (offset == ahci::kGhc) {
    if ((value & ahci::kGhcReset) != 0) {
      const QuietPool quiet(pool_, lock);
      reset_host();
    } else {
      ghc_ = ahci::kGhcAhci | (merged(offset, value, lanes) & ahci::kGhcInterrupts);
    }
    update_interrupt(false);
  } else if (offset == ahci::kIs) {
    is_ &= ~value;
    update_interrupt(true);
  }
}

/// The wire follows the causes. A message tells of each new one, and is sent again when software has cleared
/// some, but not all, of IS (10.7.2.2).
void Ahci::update_interrupt(bool again) {
  bool news = false;
  for (unsigned i = 0; i < kPorts; ++i) {
    const uint32_t causes = ports_[i].causes();
    if (causes != 0) is_ |= 1u << i;
    if ((causes & ~signalled_[i]) != 0) news = true;
    signalled_[i] = causes;
  }
  const bool asks = is_ != 0 && (ghc_ & ahci::kGhcInterrupts) != 0;
  if (!asks) signalled_ = {};
  set_interrupt(asks);
  if (asks && (news || again) && uses_messages()) send_message(0);
}

bool Ahci::work(Lock& lock) {
  for (unsigned tried = 0; tried < kPorts; ++tried) {
    ahci::Port& port = ports_[next_port_];
    next_port_ = (next_port_ + 1) % kPorts;
    ahci::Port::Job job;
    const bool taken = port.take(job);
    update_interrupt(false);
    if (!taken) continue;
    pool_.wake();  // there may be more
    lock.unlock();
    port.run(job);
    lock.lock();
    port.finish(job);
    update_interrupt(false);
    return true;
  }
  return false;
}

void Ahci::reset_host() {
  ghc_ = ahci::kGhcAhci;
  is_ = 0;
  signalled_ = {};
  for (ahci::Port& port : ports_) port.reset();
}

void Ahci::reset_device() {
  Lock lock(mutex_);
  const QuietPool quiet(pool_, lock);
  reset_host();
  update_interrupt(false);
}

void Ahci::save_device(StateWriter& to) const {
  Lock lock(mutex_);
  const QuietPool quiet(pool_, lock);
  to(ghc_, is_);
  for (const ahci::Port& port : ports_) port.save(to);
}

void Ahci::load_device(StateReader& from) {
  Lock lock(mutex_);
  const QuietPool quiet(pool_, lock);
  from(ghc_, is_);
  ghc_ = ahci::kGhcAhci | (ghc_ & ahci::kGhcInterrupts);
  is_ &= (1u << kPorts) - 1;
  for (ahci::Port& port : ports_) port.load(from);
  if (from.failed()) reset_host();
  pool_.wake();
}

}  // namespace eidolon::device::storage
