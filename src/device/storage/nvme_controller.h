// An NVMe controller with one namespace (NVM Express 1.4) as a PCI function: its registers, its life, and the
// threads that carry out its commands. Queues, transfers and commands are in the other nvme_ files.
//
//   disabled --CC.EN--> ready --hostile driver--> fatal (CSTS.CFS)
//      ^                  |                         |
//      +------ CC.EN = 0, once nothing is in flight-+
//
// One lock, which also guards the queues. Threads let go of it while they use the medium.
#pragma once

#include <condition_variable>

#include "device/holdable.h"
#include "device/pci/function.h"
#include "device/storage/nvme_admin.h"
#include "device/worker_pool.h"

namespace eidolon::device::storage {

class NvmeController final : public pci::Function, public Holdable, private memory::IoHandler {
 public:
  static constexpr unsigned kThreads = 4;

  /// `medium` outlives the controller. `serial` is what the guest sees as the disk's number, 20 characters at
  /// most.
  NvmeController(std::string name, Medium& medium, const std::string& serial);
  ~NvmeController() override { pool_.stop(); }

  [[nodiscard]] bool hold(std::chrono::milliseconds patience) override { return pool_.hold(patience); }
  void release() override { pool_.release(); }

 protected:
  void reset_device() override;
  void save_device(StateWriter& to) const override;
  void load_device(StateReader& from) override;
  void loaded() override;
  void config_written(unsigned offset, unsigned size) override;

 private:
  using Lock = WorkerPool::Lock;
  struct Result {
    nvme::Status status;
    uint32_t value = 0;
    bool keep = false;  ///< not to be completed for now
  };

  // memory::IoHandler: BAR 0
  [[nodiscard]] uint64_t io_read(uint64_t offset, unsigned size) override;
  void io_write(uint64_t offset, unsigned size, uint64_t value) override;

  // With the lock held.
  [[nodiscard]] uint64_t capabilities() const;
  void write_register(uint64_t offset, uint32_t value);
  void write_config(uint32_t value);
  void write_doorbell(uint64_t offset, uint32_t value);
  void enable();
  void disable();
  void finish_disable();
  void clear();
  void fail();
  [[nodiscard]] bool running() const;
  [[nodiscard]] uint64_t page() const;
  void update_wire();
  void tell(unsigned submission_queue);
  void tell_events();

  // On a thread. The lock is held before and afterwards.
  [[nodiscard]] bool work(Lock& held);
  void flush_for_shutdown(Lock& held);
  [[nodiscard]] Result administer(Lock& held, const nvme::Command& command);
  [[nodiscard]] Result carry_out(Lock& held, const nvme::Command& command);
  void finish(const nvme::Queues::Taken& taken, const Result& result);

  mutable std::mutex mutex_;
  uint32_t config_ = 0;  ///< CC
  uint32_t status_ = 0;  ///< CSTS
  uint32_t masked_ = 0;  ///< interrupts, by INTMS
  uint32_t admin_sizes_ = 0;
  uint64_t admin_submission_ = 0;
  uint64_t admin_completion_ = 0;
  bool stopping_ = false;         ///< CC.EN is 0, but commands are in flight
  bool shutdown_wanted_ = false;  ///< nobody has begun with it
  unsigned in_flight_ = 0;
  std::condition_variable drained_;  ///< a command was completed, or is not going to be

  nvme::Queues queues_;
  nvme::Events events_;
  nvme::Features features_;
  nvme::Namespace space_;
  nvme::Admin admin_;
  mutable WorkerPool pool_;
};

}  // namespace eidolon::device::storage
