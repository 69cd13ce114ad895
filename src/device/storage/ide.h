// An IDE controller as the PIIX4 has it, 8086:7111 (82371AB datasheet, 290562, chapter 6): two channels at
// their legacy ports and interrupts, two drives each, PIO and bus-master DMA.
#pragma once

#include <array>
#include <atomic>

#include "device/holdable.h"
#include "device/pci/function.h"
#include "device/storage/ide_channel.h"
#include "device/worker_pool.h"

namespace eidolon::device::storage {

class Ide final : public pci::Function, public Holdable, private memory::IoHandler {
 public:
  static constexpr unsigned kDevice = 0x1f, kFunction = 1;
  static constexpr unsigned kChannels = 2, kDrivesPerChannel = 2;
  static constexpr std::array<uint64_t, kChannels> kCommandPort = {0x1f0, 0x170};  ///< eight each
  static constexpr std::array<uint64_t, kChannels> kControlPort = {0x3f6, 0x376};  ///< one each
  static constexpr std::array<unsigned, kChannels> kIrq = {14, 15};

  /// `irqs`: of the two channels.
  Ide(std::string name, const std::array<IrqLine*, kChannels>& irqs);
  ~Ide() override { pool_.stop(); }

  /// While the machine is wired.
  void attach(unsigned channel, unsigned drive, std::unique_ptr<ata::Drive> device) {
    channels_[channel].attach(drive, std::move(device));
  }
  [[nodiscard]] memory::IoHandler& command_ports(unsigned channel) { return command_ports_[channel]; }
  [[nodiscard]] memory::IoHandler& control_port(unsigned channel) { return control_ports_[channel]; }

  [[nodiscard]] bool hold(std::chrono::milliseconds patience) override { return pool_.hold(patience); }
  void release() override { pool_.release(); }

 protected:
  void connected() override;
  void reset_device() override;
  void save_device(StateWriter& to) const override;
  void load_device(StateReader& from) override;
  void config_written(unsigned offset, unsigned size) override;
  void loaded() override { config_written(0, 0); }

 private:
  using Lock = WorkerPool::Lock;
  class CommandPorts final : public memory::IoHandler {
   public:
    CommandPorts(Ide& ide, unsigned channel) : ide_(ide), channel_(channel) {}
    [[nodiscard]] uint64_t io_read(uint64_t offset, unsigned size) override;
    void io_write(uint64_t offset, unsigned size, uint64_t value) override;

   private:
    Ide& ide_;
    const unsigned channel_;
  };
  class ControlPort final : public memory::IoHandler {
   public:
    ControlPort(Ide& ide, unsigned channel) : ide_(ide), channel_(channel) {}
    [[nodiscard]] uint64_t io_read(uint64_t offset, unsigned size) override;
    void io_write(uint64_t offset, unsigned size, uint64_t value) override;

   private:
    Ide& ide_;
    const unsigned channel_;
  };

  // memory::IoHandler: BAR 4, the bus masters
  [[nodiscard]] uint64_t io_read(uint64_t offset, unsigned size) override;
  void io_write(uint64_t offset, unsigned size, uint64_t value) override;

  /// Runs `change()`; if it ends what is under way, when that has ended.
  template <typename Change>
  void write(bool stops, Lock& lock, Change change);
  [[nodiscard]] bool work(Lock& lock);

  mutable std::mutex mutex_;  ///< guards what follows; before the function's
  std::array<ide::Channel, kChannels> channels_;
  std::array<CommandPorts, kChannels> command_ports_;
  std::array<ControlPort, kChannels> control_ports_;
  std::array<std::atomic<bool>, kChannels> decoded_{};  ///< the channel's ports answer
  mutable WorkerPool pool_;
};

}  // namespace eidolon::device::storage
