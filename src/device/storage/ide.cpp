#include "device/storage/ide.h"

#include "base/bits.h"
#include "device/pci/registers.h"

namespace eidolon::device::storage {

namespace {
constexpr uint64_t kMasterPorts = 16, kMasterPortsPerChannel = 8;
constexpr unsigned kMasterBar = 4;
// Configuration space: timing, whose bit 15 lets a channel answer. Firmware would set it; it is set from the
// start, for machines without.
constexpr unsigned kTiming = 0x40, kSlaveTiming = 0x44, kUltraDma = 0x48, kUltraDmaTiming = 0x4a;
constexpr uint16_t kDecode = 0x8000;
}  // namespace

Ide::Ide(std::string name, const std::array<IrqLine*, kChannels>& irqs)
    : Function(std::move(name), {.vendor = 0x8086, .device = 0x7111, .class_code = 0x010180, .revision = 1}),
      channels_{ide::Channel(*irqs[0]), ide::Channel(*irqs[1])},
      command_ports_{CommandPorts(*this, 0), CommandPorts(*this, 1)},
      control_ports_{ControlPort(*this, 0), ControlPort(*this, 1)},
      pool_(mutex_, kChannels, [this](Lock& lock) { return work(lock); }) {
  for (unsigned i = 0; i < kChannels; ++i) config().define<uint16_t>(kTiming + 2 * i, kDecode, 0xffff);
  config().define<uint8_t>(kSlaveTiming, 0, 0xff);
  config().define<uint8_t>(kUltraDma, 0, 0x0f);
  config().define<uint16_t>(kUltraDmaTiming, 0, 0x3333);
  add_bar(kMasterBar, pci::BarKind::kIo, kMasterPorts, *this);
}

void Ide::connected() {
  for (ide::Channel& channel : channels_) {
    channel.connect(dma());
    channel.reset();
  }
}

void Ide::config_written(unsigned /*offset*/, unsigned /*size*/) {
  with_config([this](pci::ConfigSpace& config) {
    const bool io = (config.get<uint16_t>(pci::kCommand) & pci::kCommandIo) != 0;
    for (unsigned i = 0; i < kChannels; ++i)
      decoded_[i] = io && (config.get<uint16_t>(kTiming + 2 * i) & kDecode) != 0;
  });
}

template <typename Change>
void Ide::write(bool stops, Lock& lock, Change change) {
  if (stops) {
    const QuietPool quiet(pool_, lock);
    change();
  } else {
    change();
  }
  for (const ide::Channel& channel : channels_)
    if (channel.has_job()) pool_.wake();
}

uint64_t Ide::CommandPorts::io_read(uint64_t offset, unsigned size) {
  if (!ide_.decoded_[channel_]) return mask_below(8 * size);
  Lock lock(ide_.mutex_);
  ide::Channel& channel = ide_.channels_[channel_];
  uint64_t value = 0;
  if (offset == 0) {
    value = channel.read_data(size);
  } else {
    for (unsigned i = 0; i < size; ++i)
      value |= uint64_t{channel.read_register(static_cast<unsigned>(offset) + i)} << (8 * i);
  }
  ide_.write(false, lock, [] {});  // the last word of a block asks for the next
  return value;
}

void Ide::CommandPorts::io_write(uint64_t offset, unsigned size, uint64_t value) {
  if (!ide_.decoded_[channel_]) return;
  Lock lock(ide_.mutex_);
  ide::Channel& channel = ide_.channels_[channel_];
  if (offset == 0)
    return ide_.write(false, lock, [&] { channel.write_data(size, static_cast<uint32_t>(value)); });
  for (unsigned i = 0; i < size; ++i) {
    const auto number = static_cast<unsigned>(offset) + i;
    const auto byte = static_cast<uint8_t>(value >> (8 * i));
    ide_.write(channel.register_stops(number, byte), lock, [&] { channel.write_register(number, byte); });
  }
}

uint64_t Ide::ControlPort::io_read(uint64_t /*offset*/, unsigned /*size*/) {
  if (!ide_.decoded_[channel_]) return 0xff;
  const Lock lock(ide_.mutex_);
  return ide_.channels_[channel_].read_alternate_status();
}

void Ide::ControlPort::io_write(uint64_t /*offset*/, unsigned /*size*/, uint64_t value) {
  if (!ide_.decoded_[channel_]) return;
  Lock lock(ide_.mutex_);
  ide::Channel& channel = ide_.channels_[channel_];
  const auto byte = static_cast<uint8_t>(value);
  ide_.write(channel.control_stops(byte), lock, [&] { channel.write_control(byte); });
}

uint64_t Ide::io_read(uint64_t offset, unsigned size) {
  const Lock lock(mutex_);
  uint64_t value = 0;
  for (unsigned i = 0; i < size; ++i) {
    const uint64_t at = offset + i;
    const uint8_t byte = channels_[at / kMasterPortsPerChannel].read_master(at % kMasterPortsPerChannel);
    value |= uint64_t{byte} << (8 * i);
  }
  return value;
}

void Ide::io_write(uint64_t offset, unsigned size, uint64_t value) {
  Lock lock(mutex_);
  for (unsigned i = 0; i < size; ++i) {
    const uint64_t at = offset + i;
    ide::Channel& channel = channels_[at / kMasterPortsPerChannel];
    const unsigned number = at % kMasterPortsPerChannel;
    const auto byte = static_cast<uint8_t>(value >> (8 * i));
    write(channel.master_stops(number, byte), lock, [&] { channel.write_master(number, byte); });
  }
}

bool Ide::work(Lock& lock) {
  for (ide::Channel& channel : channels_) {
    if (!channel.has_job()) continue;
    channel.take();
    lock.unlock();
    channel.run();
    lock.lock();
    channel.finish();
    return true;
  }
  return false;
}

void Ide::reset_device() {
  {
    Lock lock(mutex_);
    const QuietPool quiet(pool_, lock);
    for (ide::Channel& channel : channels_) channel.reset();
  }
  config_written(0, 0);
}

void Ide::save_device(StateWriter& to) const {
  Lock lock(mutex_);
  const QuietPool quiet(pool_, lock);
  for (const ide::Channel& channel : channels_) channel.save(to);
}

void Ide::load_device(StateReader& from) {
  Lock lock(mutex_);
  const QuietPool quiet(pool_, lock);
  for (ide::Channel& channel : channels_) channel.load(from);
  if (from.failed())
    for (ide::Channel& channel : channels_) channel.reset();
  pool_.wake();
}

}  // namespace eidolon::device::storage
