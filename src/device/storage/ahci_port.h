// One port of an AHCI controller with the drive on it (AHCI 1.3.1, 3.3 and chapter 5).
//
//   stopped --PxCMD.ST=1--> running --PxCI--> take() --run()--> finish() --> running
//      ^                      |                                    |
//      +------ PxCMD.ST=0 ----+---------- failed until ST=0 <------+ error
//
// All calls but run() come with the controller's lock held. The controller sees to it that no command is
// under way when the port is stopped or reset, so nothing is written into memory afterwards.
#pragma once

#include <memory>
#include <string>

#include "device/dma.h"
#include "device/storage/ahci_registers.h"
#include "device/storage/ata_drive.h"

namespace eidolon::device::storage::ahci {

class Port {
 public:
  /// A command under way.
  struct Job {
    enum class Fault : uint8_t { kNone, kBus, kOverflow };
    unsigned slot = 0;
    uint64_t header = 0;  ///< where the slot is in memory
    uint64_t table = 0;
    unsigned prds = 0;
    Fault fault = Fault::kNone;
    ata::Command command;
  };

  void attach(std::unique_ptr<ata::Drive> drive);
  [[nodiscard]] ata::Drive* drive() const { return drive_.get(); }
  void connect(Dma& dma) { dma_ = &dma; }

  [[nodiscard]] uint32_t read(uint32_t offset) const;
  void write(uint32_t offset, uint32_t value);
  /// Whether writing this ends what is under way.
  [[nodiscard]] bool stops(uint32_t offset, uint32_t value) const;
  /// Causes that ask for an interrupt.
  [[nodiscard]] uint32_t causes() const { return read(kPxIs) & ie_; }

  [[nodiscard]] bool take(Job& job);
  void finish(Job& job);
  /// On any thread, without the lock.
  void run(Job& job) const;

  /// The controller's reset, or power-on.
  void reset();
  void save(StateWriter& to) const;
  void load(StateReader& from);

 private:
  template <typename Self, typename Stream>
  static void fields(Self& self, Stream& s) {
    s(self.clb_, self.fb_, self.is_, self.ie_, self.cmd_, self.tfd_, self.sig_, self.ssts_, self.sctl_,
      self.serr_, self.sact_, self.ci_, self.slot_, self.failed_, self.resetting_);
  }

  void write_command(uint32_t value);
  void write_control(uint32_t value);
  void link_up();
  void stop_list();

  // ahci_port_commands.cpp
  [[nodiscard]] bool running() const { return (cmd_ & kStart) != 0 && !failed_ && drive_ != nullptr; }
  [[nodiscard]] unsigned next_slot() const;
  [[nodiscard]] bool start(Job& job);
  void control(uint8_t value, unsigned slot);
  [[nodiscard]] bool begin(Job& job, const std::array<uint8_t, 20>& fis);
  void finish_queued(const Job& job);
  void fail(uint32_t cause);

  // ahci_port_fis.cpp
  void send_register(const ata::Command& command, bool interrupt);
  void send_pio_setup(const ata::Command& command, uint64_t bytes, bool interrupt);
  void send_device_bits(const ata::Command& command, uint32_t done);
  void send_signature();
  void receive(uint64_t at, std::span<const uint8_t> fis);

  std::unique_ptr<ata::Drive> drive_;
  Dma* dma_ = nullptr;

  uint64_t clb_ = 0, fb_ = 0;
  uint32_t is_ = 0, ie_ = 0, cmd_ = 0, tfd_ = kNoDeviceTfd, sig_ = kNoSignature, ssts_ = 0, sctl_ = 0,
           serr_ = 0, sact_ = 0, ci_ = 0;
  uint32_t slot_ = 0;       ///< the current command slot
  bool failed_ = false;     ///< no command is taken until the list is stopped
  bool resetting_ = false;  ///< between the two FISes of a soft reset
  bool busy_ = false;       ///< a command that is not queued is under way
  uint32_t queued_ = 0;     ///< tags under way
};

}  // namespace eidolon::device::storage::ahci
