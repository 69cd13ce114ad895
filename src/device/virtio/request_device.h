// A virtio device whose queues hold requests that take time: threads of its own carry them out, so that the
// processor that notified goes on. Requests of one queue may finish in any order, as the specification
// allows. A single request that takes no time, such as of a few pages that the host has in memory, costs less
// than waking a thread for it, so it is carried out by who notified.
#pragma once

#include <optional>

#include "device/virtio/device.h"
#include "device/worker_pool.h"

namespace eidolon::device::virtio {

class RequestDevice : public Device {
 public:
  /// `queues`: that many, from the first on, hold requests. Threads start when the driver is ready.
  RequestDevice(Shape shape, unsigned queues, unsigned threads)
      : Device(std::move(shape)),
        pending_(queues, false),
        pool_(mutex(), threads, [this](Lock& held) { return work(held); }) {}

  [[nodiscard]] bool hold(std::chrono::milliseconds patience) final { return pool_.hold(patience); }
  void release() final { pool_.release(); }

 protected:
  /// The first thing that the destructor of every derived class does: threads call its execute().
  void stop_threads() { pool_.stop(); }

  /// Of the first `queues`, those that hold no requests are the device's own to look after. Lock held.
  [[nodiscard]] virtual bool has_requests(unsigned /*queue*/) const { return true; }
  /// Carries out one request and returns how many bytes it wrote. On a thread, with no lock held.
  [[nodiscard]] virtual uint32_t execute(unsigned queue, const Chain& chain) = 0;
  /// For queue_notified() of a device whose requests need no account and may take no time: carries out the
  /// queue's next request if that can be done at once. False: there are others to look after.
  [[nodiscard]] bool finish_at_once(unsigned queue);
  /// As execute(), if that takes neither long nor waiting; else nullopt, and it will be executed. Lock held.
  [[nodiscard]] virtual std::optional<uint32_t> execute_at_once(const Chain& /*chain*/) {
    return std::nullopt;
  }
  // For a device that keeps an account of its requests. Lock held; between the two, the chain is where it is.
  virtual void request_taken(unsigned /*queue*/, const Chain& /*chain*/) {}
  virtual void request_returned(const Chain& /*chain*/) {}
  /// The next request of a queue. Lock held.
  [[nodiscard]] virtual bool take_request(unsigned queue, Chain& chain) { return take(queue, chain); }
  /// Whether there is one; if not, the driver will notify of it. Lock held.
  [[nodiscard]] virtual bool has_more(unsigned queue) { return rearm(queue); }

  void queue_notified(unsigned queue) override;
  void driver_ready() override;
  void quiesce() override;
  void resume() override;

 private:
  /// Carries out the next request, if there is one.
  [[nodiscard]] bool work(Lock& held);
  /// A request to carry out, with the number of its queue.
  [[nodiscard]] bool next(unsigned& queue, Chain& chain);

  std::vector<bool> pending_;  ///< queues that may have requests; guarded by the device's lock
  WorkerPool pool_;
};

}  // namespace eidolon::device::virtio
