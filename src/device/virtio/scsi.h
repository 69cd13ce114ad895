// The SCSI host device (virtio 1.2, 5.6): one target with logical units of device/storage/scsi_unit.h.
//
// A command is in the ring, or kept (taken from the ring, and not begun), or a task that a thread carries
// out. Task management takes all of the rings, gives back those of the kept commands that it is about, and
// waits for those of the tasks: when it answers, nothing of what it aborted touches guest memory any more.
#pragma once

#include <condition_variable>
#include <deque>
#include <list>
#include <optional>

#include "device/storage/dma_pieces.h"
#include "device/storage/scsi_unit.h"
#include "device/virtio/request_device.h"
#include "device/virtio/scsi_protocol.h"

namespace eidolon::device::virtio {

class Scsi final : public RequestDevice {
 public:
  static constexpr unsigned kThreads = 4, kMostUnits = 16, kMostRequestQueues = 8;
  static constexpr uint32_t kUsualSenseBytes = 96, kUsualCommandBytes = 32;

  Scsi(std::string name, unsigned request_queues);
  ~Scsi() override { stop_threads(); }

  /// Before the machine runs. The unit's number; at most kMostUnits.
  unsigned attach(std::unique_ptr<storage::scsi::Unit> unit);

 protected:
  [[nodiscard]] bool has_requests(unsigned queue) const override { return queue != kEvents; }
  void queue_notified(unsigned queue) override;
  [[nodiscard]] bool take_request(unsigned queue, Chain& chain) override;
  [[nodiscard]] bool has_more(unsigned queue) override;
  void request_taken(unsigned queue, const Chain& chain) override;
  void request_returned(const Chain& chain) override;
  [[nodiscard]] uint32_t execute(unsigned queue, const Chain& chain) override;
  [[nodiscard]] std::optional<uint32_t> execute_at_once(const Chain& chain) override;
  void reset_device() override;
  [[nodiscard]] std::vector<uint8_t> config() override;
  void config_byte_written(uint64_t offset, uint8_t value) override;
  void save_device(StateWriter& to) const override;
  void load_device(StateReader& from) override;

 private:
  enum Queues : unsigned { kControl, kEvents, kFirstRequest };

  /// A command as it was when it was taken.
  struct Task {
    ScsiCommandHeader header;
    storage::scsi::Cdb cdb{};
    // Where the driver's buffer has what.
    uint64_t sent_at = 0;
    uint64_t sense_bytes = 0;
    bool possible = false;  ///< the buffer has room for what every command has

    const Chain* chain = nullptr;
    uint64_t number = 0;  ///< they count up
  };
  /// What a task management function is about.
  struct Scope {
    std::optional<unsigned> unit;  ///< none: all
    std::optional<uint64_t> tag;   ///< none: all
  };

  [[nodiscard]] static bool on_target(const ScsiAddress& address) {
    return address[0] == 1 && address[1] == 0;
  }
  /// Its number, if there is such a unit.
  [[nodiscard]] std::optional<unsigned> unit_of(const ScsiAddress& address) const;
  [[nodiscard]] bool concerns(const Scope& scope, const ScsiCommandHeader& header) const;

  /// A command's data in guest memory.
  struct Data {
    storage::DmaPieces sent, room;
    bool possible;  ///< it is there, and goes one way
    [[nodiscard]] uint64_t expected() const { return sent.total() + room.total(); }
    [[nodiscard]] storage::scsi::Request request(const Task& task) const {
      return {.cdb = task.cdb, .from_guest = sent.parts(), .to_guest = room.parts()};
    }
  };
  [[nodiscard]] Data find_data(const Task& task);

  // Commands; on a thread, no lock held.
  [[nodiscard]] uint32_t command(const Task& task);
  [[nodiscard]] storage::scsi::Answer carry_out(const Task& task, const storage::scsi::Request& request);
  [[nodiscard]] storage::scsi::Answer without_unit(const storage::scsi::Request& request) const;
  [[nodiscard]] storage::scsi::Answer report_units(const storage::scsi::Request& request) const;
  uint32_t respond(const Task& task, ScsiResponse response, const storage::scsi::Answer& answer,
                   uint64_t expected);

  // Task management; on a thread, no lock held.
  [[nodiscard]] uint32_t control(const Chain& chain);
  [[nodiscard]] ScsiResponse manage(const TaskManagement& request);
  // Lock held.
  [[nodiscard]] Task read_task(const Chain& chain);
  void keep_all();
  void give_back_kept(const Scope& scope, ScsiResponse response);
  [[nodiscard]] bool has_task(const Scope& scope, uint64_t up_to) const;
  [[nodiscard]] bool has_kept(const Scope& scope);

  const unsigned request_queues_;
  std::vector<std::unique_ptr<storage::scsi::Unit>> units_;
  // Under the device's lock.
  uint32_t sense_bytes_ = kUsualSenseBytes, command_bytes_ = kUsualCommandBytes;
  std::list<Task> tasks_;
  uint64_t last_task_ = 0;
  std::vector<std::deque<Chain>> kept_;  ///< by request queue
  std::condition_variable task_ended_;
};

}  // namespace eidolon::device::virtio
