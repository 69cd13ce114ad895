#include "device/chipset/ps2_mouse.h"

#include <algorithm>
#include <cstdlib>

namespace eidolon::device {

namespace {

constexpr uint8_t kAcknowledge = 0xfa, kResend = 0xfe, kTestPassed = 0xaa;
constexpr uint8_t kPlain = 0, kWheel = 3, kFiveButtons = 4;  // identifiers
constexpr uint8_t kDefaultRate = 100, kDefaultResolution = 2;
constexpr int32_t kFarthest = 1 << 16;  // what moves while nobody looks does not add up for ever

enum Command : uint8_t {
  kScale1 = 0xe6,
  kScale2 = 0xe7,
  kSetResolution = 0xe8,
  kStatusRequest = 0xe9,
  kStreamMode = 0xea,
  kReadData = 0xeb,
  kLeaveWrap = 0xec,
  kEnterWrap = 0xee,
  kRemoteMode = 0xf0,
  kIdentify = 0xf2,
  kSetRate = 0xf3,
  kEnable = 0xf4,
  kDisable = 0xf5,
  kDefaults = 0xf6,
  kResendLast = 0xfe,
  kReset = 0xff,
};

int32_t add(int32_t one, int32_t other) { return std::clamp(one + other, -kFarthest, kFarthest); }
int32_t bounded(int32_t value) { return std::clamp(value, -kFarthest, kFarthest); }

}  // namespace

void Ps2Mouse::reset() {
  queue_.clear();
  awaiting_ = 0;
  id_ = kPlain;
  knocks_ = {};
  set_defaults();
}

void Ps2Mouse::set_defaults() {
  queue_.clear_events();
  waiting_.clear();
  buttons_ = 0;
  rate_ = kDefaultRate;
  resolution_ = kDefaultResolution;
  doubled_ = reporting_ = false;
  mode_ = before_wrap_ = Mode::kStream;
}

void Ps2Mouse::write(uint8_t byte) {
  if (mode_ == Mode::kWrap && byte != kReset && byte != kLeaveWrap) {
    queue_.answer({byte});
    return;
  }
  const uint8_t command_before = awaiting_;
  awaiting_ = 0;
  if (command_before != 0 && byte < kScale1) {
    argument(command_before, byte);
  } else {
    command(byte);
  }
  feed();
}

void Ps2Mouse::command(uint8_t byte) {
  const auto acknowledge = [this] { queue_.answer({kAcknowledge}); };
  switch (byte) {
    case kScale1:
    case kScale2:
      doubled_ = byte == kScale2;
      acknowledge();
      break;
    case kSetResolution:
    case kSetRate:
      awaiting_ = byte;
      acknowledge();
      break;
    case kStatusRequest:
      answer_status();
      break;
    case kStreamMode:
    case kRemoteMode:
      mode_ = byte == kStreamMode ? Mode::kStream : Mode::kRemote;
      queue_.clear_events();
      acknowledge();
      break;
    case kReadData: {
      queue_.clear_events();
      acknowledge();
      const std::vector<uint8_t> packet = take_packet();
      (void)queue_.put(packet);
      break;
    }
    case kEnterWrap:
      if (mode_ != Mode::kWrap) before_wrap_ = mode_;
      mode_ = Mode::kWrap;
      queue_.clear_events();
      acknowledge();
      break;
    case kLeaveWrap:
      if (mode_ == Mode::kWrap) mode_ = before_wrap_;
      acknowledge();
      break;
    case kIdentify:
      queue_.answer({kAcknowledge, id_});
      break;
    case kEnable:
    case kDisable:
      reporting_ = byte == kEnable;
      queue_.clear_events();
      waiting_.clear();
      acknowledge();
      break;
    case kDefaults:
      set_defaults();
      acknowledge();
      break;
    case kResendLast:
      queue_.answer({queue_.last()});
      break;
    case kReset:
      reset();
      queue_.answer({kAcknowledge, kTestPassed, kPlain});
      break;
    default:
      queue_.answer({kResend});
      break;
  }
}

void Ps2Mouse::argument(uint8_t command, uint8_t byte) {
  if (command == kSetResolution) {
    resolution_ = byte & 3;
  } else {
    set_sample_rate(byte);
  }
  queue_.answer({kAcknowledge});
}

/// 200, 100, 80 is the IntelliMouse's knock; 200, 200, 80 the Explorer's.
void Ps2Mouse::set_sample_rate(uint8_t rate) {
  rate_ = rate;
  knocks_ = {knocks_[1], knocks_[2], rate};
  if (knocks_ == std::array<uint8_t, 3>{200, 100, 80}) id_ = kWheel;
  if (knocks_ == std::array<uint8_t, 3>{200, 200, 80}) id_ = kFiveButtons;
}

void Ps2Mouse::answer_status() {
  unsigned status = 0;
  if ((buttons_ & input::kRightButton) != 0) status |= 1u << 0;
  if ((buttons_ & input::kMiddleButton) != 0) status |= 1u << 1;
  if ((buttons_ & input::kLeftButton) != 0) status |= 1u << 2;
  if (doubled_) status |= 1u << 4;
  if (reporting_) status |= 1u << 5;
  if (mode_ == Mode::kRemote) status |= 1u << 6;
  queue_.answer({kAcknowledge, static_cast<uint8_t>(status), resolution_, rate_});
}

void Ps2Mouse::pointer(const input::PointerEvent& event) {
  if (!reporting_ && mode_ == Mode::kStream) return;
  const Movement movement = {.x = bounded(event.x),
                             .y = bounded(event.y),
                             .wheel = bounded(event.wheel),
                             .buttons = static_cast<uint8_t>(event.buttons & 0x1f)};
  const uint8_t last_buttons = waiting_.empty() ? buttons_ : waiting_.back().buttons;
  const bool merges = !waiting_.empty() && last_buttons == movement.buttons;
  if (!merges && waiting_.size() < kMostWaiting && (movement.moved() || movement.buttons != last_buttons)) {
    waiting_.push_back(movement);
  } else if (!waiting_.empty()) {  // when there is no more room, the last buttons count
    Movement& last = waiting_.back();
    last = {.x = add(last.x, movement.x),
            .y = add(last.y, movement.y),
            .wheel = add(last.wheel, movement.wheel),
            .buttons = movement.buttons};
  }
  feed();
}

void Ps2Mouse::feed() {
  if (mode_ != Mode::kStream || !reporting_) return;
  const size_t length = id_ == kPlain ? 3 : 4;
  while (!waiting_.empty() && queue_.has_room(length)) {
    const std::vector<uint8_t> packet = take_packet();
    (void)queue_.put(packet);
  }
}

/// Scaling 2:1 makes fast movements faster; only in stream mode.
int32_t Ps2Mouse::scaled(int32_t counts) const {
  if (!doubled_ || mode_ != Mode::kStream) return counts;
  constexpr std::array<int32_t, 6> kSmall = {0, 1, 1, 3, 6, 9};
  const int32_t size = std::abs(counts);
  const int32_t result = size < 6 ? kSmall[static_cast<size_t>(size)] : 2 * size;
  return counts < 0 ? -result : result;
}

std::vector<uint8_t> Ps2Mouse::take_packet() {
  Movement now =
      waiting_.empty() ? Movement{.x = 0, .y = 0, .wheel = 0, .buttons = buttons_} : waiting_.front();
  // With scaling a packet may hold half as many counts.
  const int32_t most = doubled_ && mode_ == Mode::kStream ? 127 : 255;
  const int32_t most_wheel = id_ == kFiveButtons ? 7 : 127;
  const int32_t x = std::clamp(now.x, -most, most), y = std::clamp(now.y, -most, most);
  const int32_t wheel = id_ == kPlain ? now.wheel : std::clamp(now.wheel, -most_wheel, most_wheel);
  buttons_ = now.buttons;
  now.x -= x;
  now.y -= y;
  now.wheel -= wheel;
  if (now.moved()) {
    waiting_.front() = now;
  } else if (!waiting_.empty()) {
    waiting_.pop_front();
  }

  const int32_t right = scaled(x), up = scaled(-y);
  const unsigned flags = (buttons_ & 7u) | 0x08u | (right < 0 ? 0x10u : 0) | (up < 0 ? 0x20u : 0);
  std::vector<uint8_t> packet = {static_cast<uint8_t>(flags), static_cast<uint8_t>(right),
                                 static_cast<uint8_t>(up)};
  // The wheel counts towards the user.
  if (id_ == kWheel) packet.push_back(static_cast<uint8_t>(-wheel));
  if (id_ == kFiveButtons)
    packet.push_back(static_cast<uint8_t>((static_cast<unsigned>(-wheel) & 0x0fu) | (buttons_ & 0x18u) << 1));
  return packet;
}

std::optional<uint8_t> Ps2Mouse::take() {
  const auto byte = queue_.take();
  feed();
  return byte;
}

void Ps2Mouse::save(StateWriter& to) const {
  queue_.save(to);
  to(buttons_, id_, rate_, resolution_, doubled_, reporting_, mode_, before_wrap_, awaiting_, knocks_);
}

void Ps2Mouse::load(StateReader& from) {
  queue_.load(from);
  from(buttons_, id_, rate_, resolution_, doubled_, reporting_, mode_, before_wrap_, awaiting_, knocks_);
  if (mode_ > Mode::kWrap || before_wrap_ > Mode::kRemote) from.fail();
  if (id_ != kPlain && id_ != kWheel && id_ != kFiveButtons) from.fail();
  buttons_ &= 0x1f;
  waiting_.clear();
}

}  // namespace eidolon::device
