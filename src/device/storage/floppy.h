// The floppy disk controller, an 82077AA (Intel 290166) with two drives, on ISA DMA channel 2 and IRQ 6.
//
//   command bytes --> work (BUSY) --> result bytes --> command bytes ...
//                 \-> at once: seeks and what only asks
//
// Reading, writing and formatting are jobs for a thread: run() moves the data between the medium and the DMA
// controller. A job waits until software has opened the DMA channel. The data rate has to be the diskette's,
// as that is how drivers find out what is in the drive. Transfers without DMA are not there.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "device/chipset/dma_controller.h"
#include "device/holdable.h"
#include "device/storage/floppy_disk.h"
#include "device/storage/medium.h"
#include "device/worker_pool.h"

namespace eidolon::device::storage {

class Floppy final : public Device, public Holdable {
 public:
  static constexpr uint64_t kPort = 0x3f0, kPorts = 6;
  static constexpr uint64_t kDirectionPort = 0x3f7;  ///< one; the one between is IDE's
  static constexpr unsigned kIrq = 6;
  static constexpr unsigned kDrives = 2;

  Floppy(std::string name, IrqLine& irq, DmaController& dma);
  ~Floppy() override;

  /// While the machine is wired: a drive with a diskette in it.
  void insert(unsigned drive, Medium& medium, const FloppyFormat& format);
  [[nodiscard]] memory::IoHandler& ports() { return window_; }
  [[nodiscard]] memory::IoHandler& direction_port() { return direction_window_; }

  [[nodiscard]] std::string_view name() const override { return name_; }
  void reset() override;
  void save(StateWriter& to) const override;
  void load(StateReader& from) override;
  [[nodiscard]] bool hold(std::chrono::milliseconds patience) override { return pool_.hold(patience); }
  void release() override { pool_.release(); }

 private:
  using Lock = WorkerPool::Lock;
  enum class Phase : uint8_t { kCommand, kWork, kResult };
  struct Drive {
    Medium* medium = nullptr;
    FloppyFormat format{};
    uint8_t cylinder = 0;
    bool changed = true;  ///< until the head moves
  };
  /// Cylinder, head and sector as an address mark has them.
  struct Place {
    uint8_t cylinder = 0;
    uint8_t head = 0;
    uint8_t sector = 0;
  };
  /// What run() needs and finds out.
  struct Job {
    std::array<uint8_t, 9> command{};
    Drive drive{};
    unsigned number = 0;
    uint8_t rate = 0;
    uint8_t status0 = 0, status1 = 0, status2 = 0;
    Place place{};
  };

  uint8_t read_register(unsigned number);
  void write_register(unsigned number, uint8_t value);
  uint8_t read_direction(unsigned offset);
  void write_direction(unsigned offset, uint8_t value);

  // floppy.cpp
  void reset_controller();
  void reset_registers();
  [[nodiscard]] uint8_t main_status() const;
  [[nodiscard]] uint8_t read_result();
  void set_interrupt(bool level);
  [[nodiscard]] Drive* selected(uint8_t byte);
  [[nodiscard]] bool work(Lock& lock);

  // floppy_commands.cpp
  [[nodiscard]] static unsigned command_length(uint8_t first);
  void execute();
  void give_result(const std::vector<uint8_t>& bytes, bool interrupt);
  void seek(uint8_t cylinder, bool recalibrate);
  void sense_interrupt();
  void sense_drive();
  void read_id();
  void dump_registers();
  void start_job();
  void finish_job(const Job& job);

  // floppy_transfers.cpp: on the thread
  void run(Job& job) const;
  void run_sectors(Job& job) const;
  void run_format(Job& job) const;
  [[nodiscard]] bool move_sector(Job& job, bool& terminal) const;
  [[nodiscard]] static bool next_sector(Job& job);

  const std::string name_;
  IrqLine& irq_;
  DmaController& dma_;
  memory::ByteWindow<Floppy, &Floppy::read_register, &Floppy::write_register> window_{*this};
  memory::ByteWindow<Floppy, &Floppy::read_direction, &Floppy::write_direction> direction_window_{*this};

  mutable std::mutex mutex_;  ///< before the DMA controller's
  std::array<Drive, kDrives> drives_;
  uint8_t output_ = 0;  ///< the digital output register
  uint8_t tape_ = 0;
  uint8_t rate_ = 0;
  Phase phase_ = Phase::kCommand;
  std::array<uint8_t, 9> command_{};
  uint8_t command_bytes_ = 0;  ///< that have come
  std::vector<uint8_t> result_;
  uint8_t result_at_ = 0;
  bool job_waits_ = false;
  bool interrupt_ = false;
  uint8_t after_reset_ = 0;  ///< drives that SENSE INTERRUPT has yet to tell of
  bool seek_done_ = false;
  uint8_t seek_status_ = 0;
  uint8_t head_times_ = 0;  ///< of SPECIFY: step rate and head unload
  uint8_t head_load_ = 0;   ///< of SPECIFY: head load, and bit 0: no DMA
  uint8_t config_ = kNoPolling;
  uint8_t precompensation_ = 0;
  uint8_t perpendicular_ = 0;
  bool locked_ = false;

  static constexpr uint8_t kNoPolling = 0x10;
  mutable WorkerPool pool_;
};

}  // namespace eidolon::device::storage
