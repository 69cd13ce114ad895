// The admin commands of an NVMe controller (NVM Express 1.4, chapter 5). Called with the controller's lock
// held.
#pragma once

#include <span>
#include <string>

#include "device/storage/nvme_events.h"
#include "device/storage/nvme_features.h"
#include "device/storage/nvme_namespace.h"
#include "device/storage/nvme_queues.h"

namespace eidolon::device::storage::nvme {

class Admin {
 public:
  struct Outcome {
    Status status;
    uint32_t result = 0;
    enum class Then : uint8_t {
      kComplete,
      kKeep,              ///< an event request: it is completed when there is an event
      kFlushAndComplete,  ///< the write cache was switched off
    } then = Then::kComplete;
  };
  struct Registers {
    uint32_t config;  ///< CC
    uint64_t page;    ///< CC.MPS in bytes
  };

  Admin(Queues& queues, Events& events, Features& features, const Namespace& space, std::string serial)
      : queues_(queues), events_(events), features_(features), space_(space), serial_(std::move(serial)) {}

  /// A submission queue to be deleted is idle: the controller has waited for that.
  [[nodiscard]] Outcome execute(const Command& command, Dma& dma, const Registers& registers);

 private:
  [[nodiscard]] Status create_completion(const Command& command, const Registers& registers);
  [[nodiscard]] Status create_submission(const Command& command, const Registers& registers);
  [[nodiscard]] Status delete_completion(uint32_t id);
  [[nodiscard]] Status delete_submission(uint32_t id);
  [[nodiscard]] Status identify(const Command& command, Dma& dma, uint64_t page);
  [[nodiscard]] Status log_page(const Command& command, Dma& dma, uint64_t page);
  [[nodiscard]] Outcome abort(const Command& command, Dma& dma);
  [[nodiscard]] Outcome set_features(const Command& command);
  [[nodiscard]] bool any_io_queue();

  Queues& queues_;
  Events& events_;
  Features& features_;
  const Namespace& space_;
  const std::string serial_;
};

}  // namespace eidolon::device::storage::nvme
