// The features of an NVMe controller (NVM Express 1.4, 5.21): values that its driver sets and gets. No lock:
// the controller has one.
#pragma once

#include <array>
#include <cstdint>

#include "base/state_stream.h"
#include "device/storage/nvme_protocol.h"

namespace eidolon::device::storage::nvme {

class Features {
 public:
  struct Answer {
    Status status;
    uint32_t value = 0;  ///< word 0 of the completion
  };

  void reset() { *this = Features(); }
  [[nodiscard]] Answer get(uint32_t cdw10, uint32_t cdw11) const;
  /// `any_queue`: the driver has made I/O queues, whose number it can no longer choose.
  [[nodiscard]] Answer set(uint32_t cdw10, uint32_t cdw11, bool any_queue);

  [[nodiscard]] bool write_cache() const { return write_cache_; }

  void save(StateWriter& to) const { fields(*this, to); }
  void load(StateReader& from) { fields(*this, from); }

 private:
  template <typename Self, typename Stream>
  static void fields(Self& self, Stream& s) {
    s(self.arbitration_, self.over_temperature_, self.under_temperature_, self.error_recovery_,
      self.coalescing_, self.uncoalesced_, self.write_atomicity_, self.event_config_, self.write_cache_);
  }

  uint32_t arbitration_ = 7;  ///< no limit
  uint16_t over_temperature_ = 343;
  uint16_t under_temperature_ = 0;
  uint32_t error_recovery_ = 0;
  uint32_t coalescing_ = 0;
  std::array<bool, kQueues> uncoalesced_{};
  uint32_t write_atomicity_ = 0;
  uint32_t event_config_ = 0;
  bool write_cache_ = true;
};

}  // namespace eidolon::device::storage::nvme
