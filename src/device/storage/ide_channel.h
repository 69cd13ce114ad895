// One channel of an IDE controller: the registers of its two drives, the data port, the interrupt, and the
// bus master that moves the data of DMA commands (ATA/ATAPI-6 for the registers and protocols; the
// Programming Interface for Bus Master IDE Controller, 1.0).
//
//   idle --command--> working (BSY) --> data in / data out (DRQ) --> working ... --> idle
//                  \-> packet bytes (DRQ) --> as above
//                  \-> DMA wait (BSY), until the bus master is started
//
// What takes time is a job for the controller's threads: take(), run(), finish(). All calls but run() come
// with the controller's lock held, and the controller sees to it that no job is under way when stops() says
// so.
#pragma once

#include <array>
#include <memory>
#include <utility>

#include "device/dma.h"
#include "device/storage/ata_drive.h"
#include "interrupt/irq_line.h"

namespace eidolon::device::storage::ide {

class Channel {
 public:
  enum class Job : uint8_t { kNone, kFetch, kStore, kDma, kComplete };

  explicit Channel(interrupt::IrqLine& irq) : irq_(irq) {}
  void attach(unsigned drive, std::unique_ptr<ata::Drive> device) { units_[drive].drive = std::move(device); }
  void connect(Dma& dma) { dma_ = &dma; }

  // Ports 0x1f0-0x1f7 (or 0x170-0x177), 0x3f6 (0x376), and eight of the bus master.
  [[nodiscard]] uint8_t read_register(unsigned number);
  void write_register(unsigned number, uint8_t value);
  [[nodiscard]] uint32_t read_data(unsigned size);
  void write_data(unsigned size, uint32_t value);
  [[nodiscard]] uint8_t read_alternate_status() const;
  void write_control(uint8_t value);
  [[nodiscard]] uint8_t read_master(unsigned number) const;
  void write_master(unsigned number, uint8_t value);

  // Whether writing this ends what is under way.
  [[nodiscard]] bool register_stops(unsigned number, uint8_t value) const;
  [[nodiscard]] bool control_stops(uint8_t value) const;
  [[nodiscard]] bool master_stops(unsigned number, uint8_t value) const;

  [[nodiscard]] bool has_job() const { return job_ != Job::kNone; }
  void take() {
    running_ = std::exchange(job_, Job::kNone);
    running_table_ = master_table_;
  }
  /// On any thread, without the lock: nobody else touches the command meanwhile.
  void run();
  void finish();

  /// Power-on.
  void reset();
  void save(StateWriter& to) const;
  void load(StateReader& from);

 private:
  enum class Phase : uint8_t { kIdle, kWorking, kDataIn, kDataOut, kPacket, kDmaWait };
  struct Unit {
    std::unique_ptr<ata::Drive> drive;
    ata::TaskFile task;
    uint8_t status = 0;
    uint8_t error = 0;
  };
  /// How the bus master's part of a job went.
  enum class Moved : uint8_t { kAll, kMore, kTooFew, kBusError };

  template <typename Self, typename Stream>
  static void fields(Self& self, Stream& s);

  [[nodiscard]] Unit& selected() { return units_[select_]; }
  [[nodiscard]] const Unit& selected() const { return units_[select_]; }
  [[nodiscard]] bool empty() const { return !units_[0].drive && !units_[1].drive; }
  [[nodiscard]] bool busy() const { return phase_ == Phase::kWorking || phase_ == Phase::kDmaWait; }
  [[nodiscard]] uint8_t status() const;
  void set_task_byte(unsigned number, uint8_t value);

  // ide_commands.cpp
  void start_command(uint8_t opcode);
  void diagnose();
  void show_signature(Unit& unit) const;
  void abandon();
  void begin_data();
  void begin_packet();
  void want_data_out();
  void offer_data_in();
  void block_read();
  void block_written();
  void give_job(Job job);
  void end_command(bool interrupt);
  void end_data();
  [[nodiscard]] bool is_packet() const { return command_.task.command == ata::kPacket; }
  void set_packet_registers(uint8_t reason, uint32_t bytes);

  // ide_master.cpp
  void run_master();
  void finish_master();
  void start_master_if_ready();

  void raise();
  void lower();
  void update_line();

  interrupt::IrqLine& irq_;
  Dma* dma_ = nullptr;
  std::array<Unit, 2> units_;

  unsigned select_ = 0;
  uint8_t control_ = 0;
  bool interrupt_ = false;  ///< INTRQ, before nIEN
  bool line_ = false;

  Phase phase_ = Phase::kIdle;
  unsigned active_ = 0;  ///< the drive of the command
  ata::Command command_;
  std::vector<uint8_t> buffer_;  ///< for the data port
  uint64_t moved_ = 0;           ///< bytes of the command's data before the buffer
  size_t at_ = 0;                ///< the data port's place in the buffer
  size_t block_end_ = 0;         ///< where the next interrupt is
  Job job_ = Job::kNone;         ///< that waits for a thread
  Job running_ = Job::kNone;

  uint8_t master_command_ = 0;
  uint8_t master_status_ = 0;
  uint32_t master_table_ = 0;
  uint32_t running_table_ = 0;  ///< the running job's: the guest may change its register meanwhile
  Moved master_moved_ = Moved::kAll;
};

}  // namespace eidolon::device::storage::ide
