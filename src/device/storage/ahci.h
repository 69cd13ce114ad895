// The SATA controller of the ICH9 in AHCI mode, 8086:2922 (ICH9 datasheet, 316972, chapter 15; AHCI 1.3.1):
// six ports, 32 commands each with NCQ, messages or a wire.
#pragma once

#include <array>

#include "device/holdable.h"
#include "device/pci/function.h"
#include "device/storage/ahci_port.h"
#include "device/worker_pool.h"

namespace eidolon::device::storage {

class Ahci final : public pci::Function, public Holdable, private memory::IoHandler {
 public:
  static constexpr unsigned kDevice = 0x1f, kFunction = 2;
  static constexpr unsigned kPorts = 6;
  static constexpr unsigned kThreads = 2;

  explicit Ahci(std::string name);
  ~Ahci() override { pool_.stop(); }

  /// While the machine is wired.
  void attach(unsigned port, std::unique_ptr<ata::Drive> drive) { ports_[port].attach(std::move(drive)); }

  [[nodiscard]] bool hold(std::chrono::milliseconds patience) override { return pool_.hold(patience); }
  void release() override { pool_.release(); }

 protected:
  void connected() override;
  void reset_device() override;
  void save_device(StateWriter& to) const override;
  void load_device(StateReader& from) override;

 private:
  using Lock = WorkerPool::Lock;

  // memory::IoHandler: BAR 5
  [[nodiscard]] uint64_t io_read(uint64_t offset, unsigned size) override;
  void io_write(uint64_t offset, unsigned size, uint64_t value) override;
  [[nodiscard]] uint32_t read(uint32_t offset) const;
  /// `lanes`: the bits that are written; the others of `value` are zero.
  void write(uint32_t offset, uint32_t value, uint32_t lanes, Lock& lock);
  [[nodiscard]] uint32_t merged(uint32_t offset, uint32_t value, uint32_t lanes) const;

  [[nodiscard]] bool work(Lock& lock);
  void reset_host();
  void update_interrupt(bool again);

  mutable std::mutex mutex_;  ///< guards what follows; before the function's
  std::array<ahci::Port, kPorts> ports_;
  uint32_t ghc_ = ahci::kGhcAhci;
  uint32_t is_ = 0;
  std::array<uint32_t, kPorts> signalled_{};  ///< causes that a message was sent for
  unsigned next_port_ = 0;                    ///< ports take turns
  mutable WorkerPool pool_;
};

}  // namespace eidolon::device::storage
