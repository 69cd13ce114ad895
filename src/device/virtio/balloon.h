// The memory balloon (virtio 1.2, 5.5): the guest gives pages back to the host when it is asked to keep less
// memory, reports those that it does not use at the moment, and tells how its memory is used.
//
// A page that was given, or reported, is taken from the monitor's resident memory at once. The guest may
// touch it again at any time, and finds a fresh one: giving a page back (5.5.6) needs nothing of the device.
#pragma once

#include <array>
#include <condition_variable>
#include <optional>

#include "device/virtio/request_device.h"

namespace eidolon::device::virtio {

class Balloon final : public RequestDevice {
 public:
  static constexpr uint64_t kPageBytes = 4096;  ///< whatever the guest's pages are (5.5.6)

  /// What a guest tells of its memory, by tag (5.5.6.4): bytes, or events since its start.
  enum Statistic : uint16_t {
    kSwappedIn,
    kSwappedOut,
    kMajorFaults,
    kMinorFaults,
    kFree,
    kTotal,
    kAvailable,
    kCaches,
    kHugePages,
    kHugePageFailures,
    kStatistics
  };
  using Statistics = std::array<std::optional<uint64_t>, kStatistics>;

  struct Report {
    uint64_t target = 0;    ///< bytes that the guest is asked to give
    uint64_t given = 0;     ///< bytes that it says it has given
    bool driver = false;    ///< somebody in the guest listens
    Statistics statistics;  ///< nothing known: the guest tells none, or not in time
  };

  explicit Balloon(std::string name);
  ~Balloon() override { stop_threads(); }

  // From any thread.
  /// Asks the guest to give so much of its memory; it may take its time, and need not.
  void set_target(uint64_t bytes);
  /// Asks the guest for its statistics and waits for them, but no longer than `patience`.
  [[nodiscard]] Report report(std::chrono::milliseconds patience);

 protected:
  [[nodiscard]] uint32_t execute(unsigned queue, const Chain& chain) override;
  [[nodiscard]] bool has_requests(unsigned queue) const override { return !tells_statistics(queue); }
  void queue_notified(unsigned queue) override;
  void driver_ready() override;
  void reset_device() override;
  [[nodiscard]] std::vector<uint8_t> config() override;
  void config_byte_written(uint64_t offset, uint8_t value) override;
  void save_device(StateWriter& to) const override;
  void load_device(StateReader& from) override;

 private:
  [[nodiscard]] bool tells_statistics(unsigned queue) const;
  void take_statistics();
  void inflate(const Chain& chain);
  void release_pages(GuestPhysical address, uint64_t length);

  uint32_t target_ = 0;          ///< pages
  uint32_t actual_ = 0;          ///< pages, as the driver says
  std::optional<Chain> asking_;  ///< the buffer that goes back when statistics are wanted
  Statistics statistics_;
  uint64_t told_ = 0;  ///< how often statistics came
  std::condition_variable statistics_came_;
};

}  // namespace eidolon::device::virtio
