#include "machine/pc_disks.h"

#include "base/try.h"
#include "device/storage/ata_cdrom.h"
#include "device/storage/ata_disk.h"

namespace eidolon::machine {

using device::storage::Ahci;
using device::storage::Floppy;
using device::storage::Ide;
using device::storage::Medium;
using device::storage::ata::BusKind;

namespace {

std::unique_ptr<device::storage::ata::Drive> make_drive(const DiskConfig& disk, Medium& medium,
                                                        std::string serial, BusKind bus) {
  if (disk.cdrom) return std::make_unique<device::storage::ata::Cdrom>(&medium, std::move(serial), bus);
  return std::make_unique<device::storage::ata::Disk>(medium, std::move(serial), bus);
}

}  // namespace

Result<> PcDisks::add_ahci(const DiskConfig& disk, Medium& medium, std::string serial) {
  if (!ahci_) ahci_ = std::make_unique<Ahci>("ahci0");
  if (ahci_ports_ == Ahci::kPorts)
    return fail("'{}' is one drive too many for AHCI, which has {} ports; put it on virtio or IDE", disk.path,
                Ahci::kPorts);
  ahci_->attach(ahci_ports_++, make_drive(disk, medium, std::move(serial), BusKind::kSerial));
  return {};
}

Result<> PcDisks::add_ide(const DiskConfig& disk, Medium& medium, std::string serial,
                          interrupt::IrqRouter& irqs) {
  constexpr unsigned kMost = Ide::kChannels * Ide::kDrivesPerChannel;
  if (!ide_) {
    ide_ = std::make_unique<Ide>("ide0", std::array<interrupt::IrqLine*, Ide::kChannels>{
                                             &irqs.isa(Ide::kIrq[0]), &irqs.isa(Ide::kIrq[1])});
  }
  if (ide_drives_ == kMost)
    return fail("'{}' is one drive too many for IDE, which has room for {}; put it on AHCI or virtio",
                disk.path, kMost);
  const unsigned place = ide_drives_++;
  ide_->attach(place / Ide::kDrivesPerChannel, place % Ide::kDrivesPerChannel,
               make_drive(disk, medium, std::move(serial), BusKind::kParallel));
  return {};
}

Result<> PcDisks::add_floppy(const DiskConfig& disk, Medium& medium, interrupt::IrqRouter& irqs,
                             device::DmaController& dma) {
  if (!floppy_) floppy_ = std::make_unique<Floppy>("fdc0", irqs.isa(Floppy::kIrq), dma);
  const auto drive = static_cast<unsigned>(floppy_types_.size());
  if (drive == Floppy::kDrives)
    return fail("'{}' is one diskette too many: there are {} floppy drives; leave out a --floppy", disk.path,
                Floppy::kDrives);
  const std::optional<device::storage::FloppyFormat> format = device::storage::floppy_format(medium.size());
  if (!format)
    return fail(
        "'{}' has {} bytes, which is no diskette; make it 1440K large (or 360K, 720K, 1200K, 2880K) with "
        "truncate -s",
        disk.path, medium.size());
  floppy_->insert(drive, medium, *format);
  floppy_types_.push_back(format->drive);
  return {};
}

Result<> PcDisks::connect(device::pci::Root& root, memory::IoBus& ports, device::Rtc& rtc) {
  if (floppy_) EIDOLON_TRY(connect_floppy(ports, rtc));
  if (ahci_) root.add(Ahci::kDevice, Ahci::kFunction, *ahci_);
  if (!ide_) return {};
  root.add(Ide::kDevice, Ide::kFunction, *ide_);
  for (unsigned i = 0; i < Ide::kChannels; ++i) {
    EIDOLON_TRY(ports.attach(Ide::kCommandPort[i], 8, ide_->command_ports(i), "ide"));
    EIDOLON_TRY(ports.attach(Ide::kControlPort[i], 1, ide_->control_port(i), "ide control"));
  }
  return {};
}

Result<> PcDisks::connect_floppy(memory::IoBus& ports, device::Rtc& rtc) {
  floppy_->reset();
  rtc.set_floppies(floppy_types_[0], floppy_types_.size() > 1 ? floppy_types_[1] : uint8_t{0});
  EIDOLON_TRY(ports.attach(Floppy::kPort, Floppy::kPorts, floppy_->ports(), "floppy"));
  return ports.attach(Floppy::kDirectionPort, 1, floppy_->direction_port(), "floppy change line");
}

void PcDisks::remove_all() {
  floppy_.reset();
  ide_.reset();
  ahci_.reset();
}

}  // namespace eidolon::machine
