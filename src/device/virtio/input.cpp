#include "device/virtio/input.h"

#include <algorithm>
#include <cstring>

#include "base/bits.h"

namespace eidolon::device::virtio {

namespace {

constexpr uint16_t kType = 18, kQueueSize = 64;
constexpr uint16_t kSync = 0;  ///< the type, and code, of the event that ends what happened at one time

// The configuration: what is asked, how long the answer is, five bytes of padding, the answer (5.8.4).
constexpr size_t kSelectAt = 0, kSubselectAt = 1, kSizeAt = 2, kAnswerAt = 8, kMostAnswer = 128;
enum Select : uint8_t {
  kName = 1,
  kSerial = 2,
  kIdentity = 3,
  kProperties = 0x10,
  kCodes = 0x11,
  kRange = 0x12,
};

static_assert(sizeof(InputEvent) == 8);

template <typename T>
void append(std::vector<uint8_t>& bytes, T value) {
  const size_t at = bytes.size();
  bytes.resize(at + sizeof value);
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

}  // namespace

Input::Input(About about)
    : Device({.name = about.name,
              .type = kType,
              .queue_sizes = {kQueueSize, kQueueSize},
              .class_code = about.class_code}),
      about_(std::move(about)) {}

std::vector<uint8_t> Input::bits_of(uint8_t type) const {
  std::vector<uint8_t> bits;
  for (const InputCodes& codes : about_.codes) {
    if (codes.type != type) continue;
    for (const uint16_t code : codes.codes) {
      bits.resize(std::max<size_t>(bits.size(), code / 8 + 1));
      bits[code / 8] = static_cast<uint8_t>(bits[code / 8] | 1u << code % 8);
    }
  }
  return bits;
}

std::vector<uint8_t> Input::answer() const {
  constexpr uint16_t kVirtual = 6, kVendor = 0x1af4, kVersion = 1;
  std::vector<uint8_t> bytes;
  const auto has_axis = [this] {
    return std::ranges::any_of(about_.codes, [this](const InputCodes& codes) {
      return codes.type == kInputAbsolute && std::ranges::find(codes.codes, subselect_) != codes.codes.end();
    });
  };
  // But for the last two there is one question each.
  if (select_ == kCodes) return bits_of(subselect_);
  if (select_ == kRange && has_axis()) {
    for (const int32_t part : {0, about_.range, 0, 0, 0}) append(bytes, part);  // no noise, no resolution
    return bytes;
  }
  if (subselect_ != 0) return {};
  if (select_ == kName) return {about_.product.begin(), about_.product.end()};
  if (select_ == kIdentity)
    for (const uint16_t part : {kVirtual, kVendor, about_.number, kVersion}) append(bytes, part);
  return bytes;
}

std::vector<uint8_t> Input::config() {
  std::vector<uint8_t> bytes(kAnswerAt + kMostAnswer);
  const std::vector<uint8_t> said = answer();
  bytes[kSelectAt] = select_;
  bytes[kSubselectAt] = subselect_;
  bytes[kSizeAt] = static_cast<uint8_t>(std::min(said.size(), kMostAnswer));
  std::copy_n(said.begin(), bytes[kSizeAt], bytes.begin() + kAnswerAt);
  return bytes;
}

void Input::config_byte_written(uint64_t offset, uint8_t value) {
  if (offset == kSelectAt) select_ = value;
  if (offset == kSubselectAt) subselect_ = value;
}

bool Input::add_events(std::span<const InputEvent> events) {
  if (events_.size() + events.size() + 1 > kMostEvents) return false;
  events_.insert(events_.end(), events.begin(), events.end());
  events_.push_back({.type = kSync, .code = 0, .value = 0});
  return true;
}

void Input::update() {
  if (!running()) return;
  do {
    tell();
  } while (deliver());
}

/// What has begun is never left out: the rest of it goes when there are buffers again (5.8.6.2).
bool Input::deliver() {
  bool any = false;
  Chain chain;
  while (!held_ && !events_.empty()) {
    if (!take(kEvents, chain) && !(rearm(kEvents) && take(kEvents, chain))) break;
    const bool written = chain.write(dma(), 0, &events_.front(), sizeof(InputEvent));
    give_back(kEvents, chain, written ? sizeof(InputEvent) : 0);
    if (written) events_.pop_front();
    any = true;
  }
  if (any) signal(kEvents);
  return any;
}

void Input::take_status() {
  Chain chain;
  bool any = false;
  while (take(kStatus, chain) || (rearm(kStatus) && take(kStatus, chain))) {
    InputEvent event{};
    if (chain.read(dma(), 0, &event, sizeof event) && event.type == kInputLight)
      light(event.code, event.value != 0);
    give_back(kStatus, chain, 0);
    any = true;
  }
  if (any) signal(kStatus);
}

void Input::queue_notified(unsigned queue) {
  if (queue == kEvents) update();
  if (queue == kStatus) take_status();
}

void Input::driver_ready() {
  ready_.store(true, std::memory_order_release);
  update();
}

void Input::reset_device() {
  ready_.store(false, std::memory_order_release);
  select_ = subselect_ = 0;
  events_.clear();
  clear();
}

bool Input::hold(std::chrono::milliseconds /*patience*/) {
  const Lock held = lock();
  held_ = true;
  return true;
}

void Input::release() {
  const Lock held = lock();
  held_ = false;
  update();
}

void Input::save_device(StateWriter& to) const {
  to(select_, subselect_, static_cast<uint32_t>(events_.size()));
  for (const InputEvent& event : events_) to(event.type, event.code, event.value);
  save_input(to);
}

void Input::load_device(StateReader& from) {
  uint32_t count = 0;
  from(select_, subselect_, count);
  if (count > kMostEvents) from.fail();
  for (uint32_t i = 0; i < count && !from.failed(); ++i) {
    InputEvent& event = events_.emplace_back();
    from(event.type, event.code, event.value);
  }
  load_input(from);
}

}  // namespace eidolon::device::virtio
