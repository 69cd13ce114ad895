#include "device/pci/function.h"

#include <algorithm>

#include "base/assert.h"
#include "device/pci/registers.h"

namespace eidolon::device::pci {

namespace {
/// APICs, timers and ROM below 4 GiB.
constexpr uint64_t kChipsetBase = 0xfec00000, kChipsetEnd = 0x1'00000000;

constexpr bool meets_chipset(uint64_t address, uint64_t length) {
  return address < kChipsetEnd && address + length > kChipsetBase;
}
}  // namespace

Function::Function(std::string name, const Identity& identity) : name_(std::move(name)) {
  constexpr uint16_t kCommandBits = kCommandIo | kCommandMemory | kCommandBusMaster | kCommandParity |
                                    kCommandSerr | kCommandInterruptDisable;
  config_.define<uint16_t>(kVendorId, identity.vendor);
  config_.define<uint16_t>(kDeviceId, identity.device);
  config_.define<uint16_t>(kCommand, 0, kCommandBits);
  config_.define<uint16_t>(kStatus, 0, 0, kStatusErrors);
  config_.define<uint32_t>(kRevision, identity.class_code << 8 | identity.revision);
  config_.define<uint8_t>(kCacheLine, 0, 0xff);
  config_.define<uint16_t>(kSubsystemVendor, identity.subsystem_vendor);
  config_.define<uint16_t>(kSubsystem, identity.subsystem);
  config_.define<uint8_t>(kInterruptLine, 0, 0xff);
}

void Function::add_bar(unsigned index, BarKind kind, uint64_t size, memory::IoHandler& handler,
                       const memory::Region* window) {
  bars_.push_back(std::make_unique<Bar>(config_, index, kind, size, handler, window));
}

void Function::add_msi(unsigned vectors) { capabilities_.push_back(&msi_.emplace(config_, vectors)); }

void Function::add_msix(unsigned bar, unsigned vectors) {
  capabilities_.push_back(&msix_.emplace(config_, bar, vectors));
  add_bar(bar, BarKind::kMemory32, msix_->bar_size(), *msix_);
}

void Function::add_power() { capabilities_.push_back(&power_.emplace(config_)); }
void Function::add_express() { capabilities_.push_back(&express_.emplace(config_)); }

void Function::add_interrupt_pin() {
  config_.define<uint8_t>(kInterruptPin, 1);
  has_pin_ = true;
}

void Function::connect(const Upstream& upstream, IrqLine* pin) {
  upstream_ = &upstream;
  wire_ = has_pin_ ? pin : nullptr;
  dma_.emplace(upstream.memory);
  if (msi_) msi_->connect(upstream.apics);
  if (msix_) msix_->connect(upstream.apics);
  {
    std::lock_guard order(config_order_);
    reset_config();
  }
  connected();
}

void Function::mark_multifunction() {
  std::lock_guard lock(mutex_);
  config_.define<uint8_t>(kHeaderType,
                          static_cast<uint8_t>(config_.get<uint8_t>(kHeaderType) | kMultiFunction));
}

uint32_t Function::config_read(unsigned offset, unsigned size) {
  std::lock_guard order(config_order_);
  before_config_read(offset, size);
  std::lock_guard lock(mutex_);
  return config_.read(offset, size);
}

void Function::config_write(unsigned offset, unsigned size, uint32_t value) {
  std::lock_guard order(config_order_);
  bool reset_wanted = false;
  {
    std::lock_guard lock(mutex_);
    config_.write(offset, size, value);
    apply();
    reset_wanted = express_ && express_->take_reset_request();
  }
  show_memory();
  if (reset_wanted) {
    reset_all();
  } else {
    config_written(offset, size);
  }
}

/// Makes what configuration space says true, but for show_memory(), which follows without the lock.
void Function::apply() {
  for (Capability* capability : capabilities_) capability->config_changed(config_);
  update_windows();
  update_wire();
  const bool master = (config_.get<uint16_t>(kCommand) & kCommandBusMaster) != 0;
  if (dma_) dma_->set_enabled(master && (!power_ || power_->on(config_)));
}

void Function::update_windows() {
  if (upstream_ == nullptr) return;
  for (const auto& bar : bars_) {
    AddressMap& map = bar->is_io() ? upstream_->ports : upstream_->addresses;
    if (const std::optional<uint64_t> address = window_address(*bar)) {
      map.place(bar.get(), *address, bar->size(), bar->handler());
    } else {
      map.remove(bar.get());
    }
  }
}

/// Where the window answers, if it does.
std::optional<uint64_t> Function::window_address(const Bar& bar) const {
  const uint64_t address = bar.address(config_);
  const bool on = !power_ || power_->on(config_);
  return on && address != 0 && bar.decoded(config_) ? std::optional(address) : std::nullopt;
}

/// Memory comes before MMIO, and the chipset's own registers are to be reached whatever software does to
/// BARs: one that is placed over them is left to its handler. Moving memory calls who has looked it up, so
/// mutex_ is not held meanwhile; no other access to configuration space comes in between.
void Function::show_memory() {
  if (upstream_ == nullptr) return;
  for (const auto& bar : bars_) {
    if (bar->window() == nullptr) continue;
    const std::optional<uint64_t> address = with_config([&](ConfigSpace&) { return window_address(*bar); });
    if (!address || meets_chipset(*address, bar->size())) {
      upstream_->memory.hide_window(*bar->window());
    } else {
      upstream_->memory.show_window(*bar->window(), *address);
    }
  }
}

void Function::update_wire() {
  const uint16_t status = config_.get<uint16_t>(kStatus);
  config_.set<uint16_t>(
      kStatus, static_cast<uint16_t>(interrupt_ ? status | kStatusInterrupt : status & ~kStatusInterrupt));
  const bool open = (config_.get<uint16_t>(kCommand) & kCommandInterruptDisable) == 0 && !uses_messages();
  if (wire_ != nullptr) wire_->set(interrupt_ && open);
}

bool Function::uses_messages() const { return (msix_ && msix_->enabled()) || (msi_ && msi_->enabled()); }

void Function::send_message(unsigned vector) {
  if (msix_ && msix_->enabled()) {
    if (dma_ && dma_->enabled()) msix_->send(vector);  // a message is a bus master's write
    return;
  }
  std::lock_guard lock(mutex_);
  if (msi_ && dma_ && dma_->enabled()) msi_->send(config_, vector);
}

void Function::set_interrupt(bool level) {
  std::lock_guard lock(mutex_);
  if (interrupt_ == level) return;
  interrupt_ = level;
  update_wire();
}

void Function::add_doorbell(unsigned index, uint64_t offset, int event) {
  const unsigned at = kFirstBar + 4 * index;
  const auto bar = std::ranges::find_if(bars_, [at](const auto& known) { return known->offset() == at; });
  EIDOLON_ASSERT(bar != bars_.end() && !(*bar)->is_io());
  upstream_->addresses.add_doorbell(bar->get(), offset, event);
}

void Function::reset_config() {
  {
    std::lock_guard lock(mutex_);
    config_.reset();
    for (Capability* capability : capabilities_) capability->reset();
    interrupt_ = false;
    apply();
  }
  show_memory();
}

void Function::reset_all() {
  reset_config();
  reset_device();
}

void Function::reset() {
  std::lock_guard order(config_order_);
  reset_all();
}

void Function::save(StateWriter& to) const {
  std::lock_guard order(config_order_);
  to.begin(name_, 1);
  with_config([&](ConfigSpace& config) {
    config.save(to);
    for (const Capability* capability : capabilities_) capability->save(to);
    to(interrupt_);
  });
  save_device(to);
  to.end();
}

void Function::load(StateReader& from) {
  std::lock_guard order(config_order_);
  from.begin(name_);
  with_config([&](ConfigSpace& config) {
    config.load(from);
    for (Capability* capability : capabilities_) capability->load(from);
    apply();  // the device may need to reach memory
  });
  show_memory();
  bool interrupt = false;
  from(interrupt);
  load_device(from);
  from.end();
  if (from.failed()) {
    reset_all();
    return;
  }
  {
    std::lock_guard lock(mutex_);
    interrupt_ = interrupt;
    apply();
  }
  loaded();
}

}  // namespace eidolon::device::pci
