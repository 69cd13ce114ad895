#include "device/virtio/request_device.h"

#include <algorithm>

namespace eidolon::device::virtio {

void RequestDevice::queue_notified(unsigned queue) {
  if (queue >= pending_.size()) return;
  pending_[queue] = true;
  pool_.wake();
}

bool RequestDevice::finish_at_once(unsigned queue) {
  // Where others wait or are at work, a thread will look anyway.
  Chain chain;
  if (!pool_.idle() || std::ranges::count(pending_, true) != 0 || !take(queue, chain)) return false;
  const auto written = execute_at_once(chain);
  if (!written) {
    put_back(queue);
    return false;
  }
  give_back(queue, chain, *written);
  signal(queue);
  return !rearm(queue);
}

void RequestDevice::driver_ready() {
  // What was made available before, or came with a snapshot.
  for (unsigned queue = 0; queue < pending_.size(); ++queue) pending_[queue] = has_requests(queue);
  pool_.wake();
}

void RequestDevice::quiesce() {
  Lock held = lock();
  pool_.quiesce(held);
}

void RequestDevice::resume() {
  const Lock held = lock();
  pool_.resume();
}

bool RequestDevice::next(unsigned& queue, Chain& chain) {
  for (queue = 0; queue < pending_.size(); ++queue) {
    if (!pending_[queue]) continue;
    if (take_request(queue, chain)) return true;
    if (has_more(queue) && take_request(queue, chain)) return true;
    pending_[queue] = false;
  }
  return false;
}

bool RequestDevice::work(Lock& held) {
  Chain chain;
  unsigned queue = 0;
  if (!next(queue, chain)) return false;
  // The next notification wakes another thread. A thread that is woken for nothing costs a small request's
  // time.
  if (!has_more(queue)) pending_[queue] = false;
  if (std::ranges::count(pending_, true) != 0) pool_.wake();
  request_taken(queue, chain);
  held.unlock();
  const uint32_t written = execute(queue, chain);
  held.lock();
  give_back(queue, chain, written);
  signal(queue);
  request_returned(chain);
  return true;
}

}  // namespace eidolon::device::virtio
