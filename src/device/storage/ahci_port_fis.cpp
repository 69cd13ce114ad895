// The FISes that a drive sends, as they arrive: in memory, in PxTFD and in PxIS.
#include "device/storage/ahci_port.h"

namespace eidolon::device::storage::ahci {

namespace {

using RegisterFis = std::array<uint8_t, 20>;

RegisterFis register_fis(uint8_t type, uint8_t options, const ata::Command& command) {
  const ata::TaskFile& task = command.task;
  const auto lba = [&task](unsigned i) { return static_cast<uint8_t>(task.lba >> (8 * i)); };
  RegisterFis fis{};
  fis[0] = type;
  fis[1] = options;
  fis[2] = command.status;
  fis[3] = command.error;
  for (unsigned i = 0; i < 3; ++i) {
    fis[4 + i] = lba(i);
    fis[8 + i] = lba(3 + i);
  }
  fis[7] = task.device;
  fis[12] = static_cast<uint8_t>(task.count);
  fis[13] = static_cast<uint8_t>(task.count >> 8);
  return fis;
}

}  // namespace

void Port::receive(uint64_t at, std::span<const uint8_t> fis) {
  if ((cmd_ & kFisReceive) != 0 && dma_ != nullptr) (void)dma_->write(fb_ + at, fis.data(), fis.size());
}

void Port::send_register(const ata::Command& command, bool interrupt) {
  receive(kFisD2hAt, register_fis(kFisD2h, interrupt ? kFisInterrupt : 0, command));
  tfd_ = command.status | uint32_t{command.error} << 8;
  if (interrupt) is_ |= kIntD2h;
  if ((command.status & ata::kError) != 0) fail(kIntTaskFile);
}

void Port::send_pio_setup(const ata::Command& command, uint64_t bytes, bool interrupt) {
  const bool in = command.data == ata::Data::kIn;
  const auto options = static_cast<uint8_t>((interrupt ? kFisInterrupt : 0) | (in ? kFisToHost : 0));
  RegisterFis fis = register_fis(kFisPioSetup, options, command);
  fis[2] |= ata::kDataRequest;
  fis[15] = command.status;
  // The count is that of the last block: what is left when all whole blocks before it have been moved.
  const uint64_t last = bytes == 0 ? 0 : (bytes - 1) % command.block + 1;
  fis[16] = static_cast<uint8_t>(last);
  fis[17] = static_cast<uint8_t>(last >> 8);
  receive(kFisPioSetupAt, fis);
  tfd_ = command.status | uint32_t{command.error} << 8;
  if (interrupt) is_ |= kIntPioSetup;
}

void Port::send_device_bits(const ata::Command& command, uint32_t done) {
  constexpr uint8_t kBits = 0x77;
  const uint8_t status = command.status & kBits;
  std::array<uint8_t, 8> fis = {kFisSetBits, kFisInterrupt, status, command.error};
  for (unsigned i = 0; i < 4; ++i) fis[4 + i] = static_cast<uint8_t>(done >> (8 * i));
  receive(kFisBitsAt, fis);
  tfd_ = (tfd_ & uint32_t{0xff & ~kBits}) | status | uint32_t{command.error} << 8;
  is_ |= kIntSetDeviceBits;
  if ((status & ata::kError) != 0) fail(kIntTaskFile);
}

void Port::send_signature() {
  ata::Command after;
  after.task.lba = drive_->signature();
  after.task.count = 1;
  after.error = ata::kDiagnosticsPassed;
  // A packet device is not ready before its first command: that is how old software tells it.
  after.status = drive_->is_packet_device() ? ata::kSeekDone : ata::kIdle;
  receive(kFisD2hAt, register_fis(kFisD2h, 0, after));
  tfd_ = after.status | uint32_t{after.error} << 8;
  sig_ = static_cast<uint32_t>(after.task.lba << 8) | after.task.count;
}

}  // namespace eidolon::device::storage::ahci
