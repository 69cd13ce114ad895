#include "device/chipset/ps2_keyboard.h"

#include <linux/input-event-codes.h>

#include <algorithm>

namespace eidolon::device {

namespace {

constexpr uint8_t kAcknowledge = 0xfa, kResend = 0xfe, kTestPassed = 0xaa, kRelease = 0xf0, kPrefix = 0xe0;
constexpr uint8_t kDefaultRate = 0x2b;  // 10.9 a second after half a second

enum Command : uint8_t {
  kSetLeds = 0xed,
  kEcho = 0xee,
  kScanCodeSet = 0xf0,
  kIdentify = 0xf2,
  kSetRate = 0xf3,
  kEnable = 0xf4,
  kDisable = 0xf5,
  kDefaults = 0xf6,
  kAllRepeat = 0xf7,
  kAllRelease = 0xf8,
  kAllMakeOnly = 0xf9,
  kAllEverything = 0xfa,
  kKeyRepeats = 0xfb,
  kKeyReleases = 0xfc,
  kKeyMakeOnly = 0xfd,
  kResendLast = 0xfe,
  kReset = 0xff,
};

std::vector<uint8_t> in_set1(const std::vector<uint8_t>& set2) {
  Set1Translation translation;
  std::vector<uint8_t> result;
  for (const uint8_t byte : set2)
    if (const auto code = translation.feed(byte)) result.push_back(*code);
  return result;
}

}  // namespace

void Ps2Keyboard::reset() {
  queue_.clear();
  waiting_.clear();
  leds_ = 0;
  awaiting_ = 0;
  set_defaults();
  scanning_ = true;
}

void Ps2Keyboard::set_defaults() {
  queue_.clear_events();
  down_.reset();
  set_ = 2;
  rate_ = kDefaultRate;
  set_all_types(kReleases | kRepeats);
}

void Ps2Keyboard::set_all_types(uint8_t type) { types_.fill(type); }

void Ps2Keyboard::write(uint8_t byte) {
  // A byte that can only be a command ends the wait for an argument.
  const uint8_t command_before = awaiting_;
  awaiting_ = 0;
  if (command_before != 0 && byte < 0x80) {
    argument(command_before, byte);
  } else if (command_before >= kKeyRepeats && command_before <= kKeyMakeOnly && byte < kSetLeds) {
    argument(command_before, byte);  // set 3 has codes above 0x80
  } else {
    command(byte);
  }
}

void Ps2Keyboard::command(uint8_t byte) {
  switch (byte) {
    case kSetLeds:
    case kScanCodeSet:
    case kSetRate:
    case kKeyRepeats:
    case kKeyReleases:
    case kKeyMakeOnly:
      awaiting_ = byte;
      queue_.answer({kAcknowledge});
      break;
    case kEcho:
      queue_.answer({kEcho});
      break;
    case kIdentify:
      queue_.answer({kAcknowledge, 0xab, 0x83});
      break;
    case kEnable:
      queue_.clear_events();
      scanning_ = true;
      queue_.answer({kAcknowledge});
      break;
    case kDisable:
    case kDefaults:
      set_defaults();
      scanning_ = byte == kDefaults;
      if (!scanning_) waiting_.clear();
      queue_.answer({kAcknowledge});
      break;
    case kAllRepeat:
      set_all_types(kRepeats);
      queue_.answer({kAcknowledge});
      break;
    case kAllRelease:
      set_all_types(kReleases);
      queue_.answer({kAcknowledge});
      break;
    case kAllMakeOnly:
      set_all_types(0);
      queue_.answer({kAcknowledge});
      break;
    case kAllEverything:
      set_all_types(kReleases | kRepeats);
      queue_.answer({kAcknowledge});
      break;
    case kResendLast:
      queue_.answer({queue_.last()});
      break;
    case kReset:
      reset();
      queue_.answer({kAcknowledge, kTestPassed});
      break;
    default:
      queue_.answer({kResend});
      break;
  }
  feed();
}

void Ps2Keyboard::argument(uint8_t command, uint8_t byte) {
  switch (command) {
    case kSetLeds:
      leds_ = byte & 7;
      break;
    case kScanCodeSet:
      if (byte > 3) {
        queue_.answer({kResend});
        return;
      }
      if (byte == 0) {
        queue_.answer({kAcknowledge, set_});
        return;
      }
      set_ = byte;
      queue_.clear_events();
      break;
    case kSetRate:
      rate_ = byte;
      break;
    case kKeyRepeats:
      types_[byte] = kRepeats;
      break;
    case kKeyReleases:
      types_[byte] = kReleases;
      break;
    default:
      types_[byte] = 0;
      break;
  }
  queue_.answer({kAcknowledge});
  // More keys may follow, until a command does.
  if (command >= kKeyRepeats) awaiting_ = command;
}

void Ps2Keyboard::key(const input::KeyEvent& event) {
  if (!scanning_ || event.code >= down_.size()) return;
  // A release is always taken, so that no key sticks; there can only be one for each key that is down.
  if (waiting_.size() >= kMostWaiting && (event.down || waiting_.size() >= kMostWaiting + down_.size()))
    return;
  waiting_.push_back(event);
  feed();
}

void Ps2Keyboard::feed() {
  while (!waiting_.empty() && send(waiting_.front())) waiting_.pop_front();
}

bool Ps2Keyboard::send(const input::KeyEvent& event) {
  const bool repeated = event.down && down_[event.code];
  if (!event.down && !down_[event.code]) return true;  // the guest has not been told of it
  const std::vector<uint8_t> bytes = codes(event, repeated);
  if (!queue_.put(bytes)) return false;
  down_[event.code] = event.down;
  return true;
}

std::vector<uint8_t> Ps2Keyboard::codes(const input::KeyEvent& event, bool repeated) const {
  if (set_ == 3) return set3_codes(event, repeated);
  const std::vector<uint8_t> set2 = set2_codes(event);
  return set_ == 1 ? in_set1(set2) : set2;
}

std::vector<uint8_t> Ps2Keyboard::set2_codes(const input::KeyEvent& event) const {
  const bool alt = held(KEY_LEFTALT, KEY_RIGHTALT), control = held(KEY_LEFTCTRL, KEY_RIGHTCTRL);
  if (event.code == KEY_SYSRQ) {
    if (alt) return event.down ? std::vector<uint8_t>{0x84} : std::vector<uint8_t>{kRelease, 0x84};
    if (control || held(KEY_LEFTSHIFT, KEY_RIGHTSHIFT))
      return event.down ? std::vector<uint8_t>{kPrefix, 0x7c} : std::vector<uint8_t>{kPrefix, kRelease, 0x7c};
    return event.down ? std::vector<uint8_t>{kPrefix, 0x12, kPrefix, 0x7c}
                      : std::vector<uint8_t>{kPrefix, kRelease, 0x7c, kPrefix, kRelease, 0x12};
  }
  if (event.code == KEY_PAUSE) {  // all at once when it is pressed
    if (!event.down) return {};
    if (control) return {kPrefix, 0x7e, kPrefix, kRelease, 0x7e};
    return {0xe1, 0x14, 0x77, 0xe1, kRelease, 0x14, kRelease, 0x77};
  }
  const uint16_t code = scan_code(event.code).set2;
  if (code == 0) return {};
  std::vector<uint8_t> bytes;
  if ((code & ScanCode::kExtended) != 0) bytes.push_back(kPrefix);
  if (!event.down) bytes.push_back(kRelease);
  bytes.push_back(static_cast<uint8_t>(code));
  return bytes;
}

std::vector<uint8_t> Ps2Keyboard::set3_codes(const input::KeyEvent& event, bool repeated) const {
  const uint8_t code = event.code == KEY_SYSRQ   ? uint8_t{0x57}
                       : event.code == KEY_PAUSE ? uint8_t{0x62}
                                                 : scan_code(event.code).set3;
  if (code == 0) return {};
  if (event.down)
    return repeated && (types_[code] & kRepeats) == 0 ? std::vector<uint8_t>{} : std::vector{code};
  return (types_[code] & kReleases) == 0 ? std::vector<uint8_t>{} : std::vector<uint8_t>{kRelease, code};
}

std::optional<uint8_t> Ps2Keyboard::take() {
  const auto byte = queue_.take();
  feed();
  return byte;
}

/// The keys that wait are the host's, not the guest's: they are not part of a snapshot.
void Ps2Keyboard::save(StateWriter& to) const {
  queue_.save(to);
  std::array<bool, 256> down{};
  for (size_t i = 0; i < down.size(); ++i) down[i] = down_[i];
  to(down, set_, leds_, rate_, scanning_, awaiting_, types_);
}

void Ps2Keyboard::load(StateReader& from) {
  std::array<bool, 256> down{};
  queue_.load(from);
  from(down, set_, leds_, rate_, scanning_, awaiting_, types_);
  if (set_ < 1 || set_ > 3) from.fail();
  leds_ &= 7;
  for (size_t i = 0; i < down.size(); ++i) down_[i] = down[i];
  waiting_.clear();
}

}  // namespace eidolon::device
