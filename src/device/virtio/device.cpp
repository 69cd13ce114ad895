#include "device/virtio/device.h"

#include "base/bits.h"

namespace eidolon::device::virtio {

void Device::connect(Dma& dma, Signals& signals) {
  dma_ = &dma;
  signals_ = &signals;
  reset();
}

uint64_t Device::accepted_features() {
  const Lock held = lock();
  return accepted_;
}

void Device::accept_features(uint64_t features) {
  const Lock held = lock();
  if ((status_ & kStatusFeaturesOk) == 0) accepted_ = features;
}

uint8_t Device::status() {
  const Lock held = lock();
  return status_;
}

void Device::set_status(uint8_t status, Interface interface) {
  if (status == 0) {
    reset();
    return;
  }
  const Lock held = lock();
  auto added = static_cast<uint8_t>(status & ~status_ & ~kStatusNeedsReset);  // bits only ever come (2.1.1)
  const bool legacy = interface == Interface::kLegacy;
  if (legacy && (added & kStatusDriverOk) != 0) added |= kStatusFeaturesOk;
  // An offer that was not made, or a driver of another age: FEATURES_OK does not stay (3.1.1).
  const bool acceptable =
      (accepted_ & ~offered_features()) == 0 && ((accepted_ & kFeatureVersion1) == 0) == legacy;
  status_ |= acceptable ? added : static_cast<uint8_t>(added & ~kStatusFeaturesOk);
  if ((added & kStatusDriverOk) == 0) return;
  if ((status_ & kStatusFeaturesOk) == 0) {
    need_reset();
    return;
  }
  for (Queue& queue : queues_)
    if (queue.enabled) make_ring(queue);
  if (running()) driver_ready();
}

bool Device::running() const { return (status_ & (kStatusDriverOk | kStatusNeedsReset)) == kStatusDriverOk; }

RingPlace Device::queue_place(unsigned queue) {
  const Lock held = lock();
  return queue < queues_.size() ? queues_[queue].place : RingPlace{};
}

bool Device::queue_enabled(unsigned queue) {
  const Lock held = lock();
  return queue < queues_.size() && queues_[queue].enabled;
}

void Device::change_queue(unsigned queue, const std::function<void(RingPlace&)>& change) {
  const Lock held = lock();
  if (queue >= queues_.size() || queues_[queue].enabled) return;  // 4.1.4.3.2: not once it is enabled
  RingPlace& place = queues_[queue].place;
  change(place);
  if (place.size > shape_.queue_sizes[queue]) place.size = 0;  // which no ring can have
}

void Device::enable_queue(unsigned queue) {
  const Lock held = lock();
  if (queue >= queues_.size() || queues_[queue].enabled) return;
  queues_[queue].enabled = true;
  if (running()) make_ring(queues_[queue]);
}

void Device::disable_queue(unsigned queue) {
  if (queue >= queues_.size()) return;
  quiesce();
  {
    const Lock held = lock();
    if (queues_[queue].enabled && running()) need_reset();
    queues_[queue].enabled = false;
    queues_[queue].ring.reset();
  }
  resume();
}

void Device::make_ring(Queue& queue) {
  queue.ring = Ring::create(*dma_, queue.place, accepted_);
  if (!queue.ring) need_reset();
}

Ring* Device::ring(unsigned queue) { return running() ? queues_[queue].ring.get() : nullptr; }

void Device::notify(unsigned queue) {
  const Lock held = lock();
  if (queue < queues_.size() && ring(queue) != nullptr) queue_notified(queue);
}

bool Device::take(unsigned queue, Chain& chain) {
  Ring* from = ring(queue);
  if (from == nullptr) return false;
  const Take taken = from->take(chain);
  if (taken == Take::kBroken) need_reset();
  return taken == Take::kChain;
}

void Device::put_back(unsigned queue) {
  if (Ring* to = ring(queue); to != nullptr) to->put_back();
}

void Device::give_back(unsigned queue, const Chain& chain, uint32_t written) {
  Ring* to = ring(queue);
  if (to != nullptr && !to->give_back(chain, written)) need_reset();
}

void Device::fill(unsigned queue, const Chain& chain, uint32_t written) {
  Ring* to = ring(queue);
  if (to != nullptr && !to->fill(chain, written)) need_reset();
}

void Device::publish(unsigned queue) {
  Ring* of = ring(queue);
  if (of != nullptr && !of->publish()) need_reset();
}

void Device::signal(unsigned queue) {
  Ring* of = ring(queue);
  if (of != nullptr && of->interrupt_wanted()) signals_->signal_queue(queue);
}

bool Device::rearm(unsigned queue) {
  Ring* of = ring(queue);
  return of != nullptr && of->rearm();
}

void Device::need_reset() {
  if ((status_ & kStatusNeedsReset) != 0) return;
  const bool tell = (status_ & kStatusDriverOk) != 0;
  status_ |= kStatusNeedsReset;
  if (tell) signals_->signal_config();
}

uint64_t Device::read_config(uint64_t offset, unsigned size) {
  const Lock held = lock();
  const std::vector<uint8_t> bytes = config();
  uint64_t value = 0;
  for (unsigned i = 0; i < size; ++i)
    if (offset + i < bytes.size()) value |= uint64_t{bytes[offset + i]} << (8 * i);
  return value;
}

void Device::write_config(uint64_t offset, unsigned size, uint64_t value) {
  const Lock held = lock();
  for (unsigned i = 0; i < size; ++i) config_byte_written(offset + i, static_cast<uint8_t>(value >> (8 * i)));
}

void Device::reset() {
  quiesce();
  {
    const Lock held = lock();
    reset_locked();
  }
  resume();
}

void Device::reset_locked() {
  accepted_ = 0;
  status_ = 0;
  for (size_t i = 0; i < queues_.size(); ++i) {
    queues_[i].ring.reset();
    queues_[i].enabled = false;
    queues_[i].place = {.size = shape_.queue_sizes[i]};
  }
  reset_device();
}

void Device::save(StateWriter& to) {
  quiesce();
  {
    const Lock held = lock();
    to(accepted_, status_);
    for (const Queue& queue : queues_) {
      to(queue.place.size, queue.place.descriptors, queue.place.driver, queue.place.device, queue.enabled,
         queue.ring != nullptr);
      if (queue.ring) queue.ring->save(to);
    }
    save_device(to);
  }
  resume();
}

void Device::load(StateReader& from) {
  quiesce();
  {
    const Lock held = lock();
    reset_locked();
    from(accepted_, status_);
    for (size_t i = 0; i < queues_.size() && !from.failed(); ++i) {
      Queue& queue = queues_[i];
      bool has_ring = false;
      from(queue.place.size, queue.place.descriptors, queue.place.driver, queue.place.device, queue.enabled,
           has_ring);
      if (queue.place.size > shape_.queue_sizes[i]) from.fail();
      if (!has_ring || from.failed()) continue;
      queue.ring = Ring::create(*dma_, queue.place, accepted_);
      if (queue.ring) {
        queue.ring->load(from);
      } else {
        from.fail();
      }
    }
    if ((accepted_ & ~offered_features()) != 0) from.fail();
    load_device(from);
    if (from.failed()) reset_locked();
    if (running()) driver_ready();
  }
  resume();
}

}  // namespace eidolon::device::virtio
