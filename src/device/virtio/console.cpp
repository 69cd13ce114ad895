#include "device/virtio/console.h"

#include <algorithm>

namespace eidolon::device::virtio {

namespace {

constexpr uint16_t kType = 3, kQueueSize = 128;
constexpr uint64_t kFeatureSize = 1u << 0, kFeatureMultiport = 1u << 1;
constexpr unsigned kControlReceive = 2, kControlTransmit = 3;

// Events of control messages (5.3.6.2).
constexpr uint16_t kDeviceReady = 0, kPortAdd = 1, kPortReady = 3, kConsolePort = 4, kResize = 5,
                   kPortOpen = 6, kPortName = 7;

/// Before the name or the size that some messages have.
struct [[gnu::packed]] Control {
  uint32_t number = 0;
  uint16_t event = 0;
  uint16_t value = 0;
};
static_assert(sizeof(Control) == 8);

/// Two for the console, two for messages, two for each other port.
std::vector<uint16_t> queue_sizes(size_t ports) { return std::vector<uint16_t>(4 + 2 * ports, kQueueSize); }

template <typename T>
void append(std::vector<uint8_t>& bytes, const T& value) {
  const size_t at = bytes.size();
  bytes.resize(at + sizeof value);
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

}  // namespace

Console::Console(std::string name, Channel* console, const std::vector<Named>& ports)
    : Device({.name = std::move(name),
              .type = kType,
              .features = kFeatureSize | kFeatureMultiport,
              .queue_sizes = queue_sizes(ports.size()),
              .class_code = 0x078000}) {
  lines_.push_back(std::make_unique<Line>(*this, 0, "", console));
  for (const Named& port : ports)
    lines_.push_back(
        std::make_unique<Line>(*this, static_cast<unsigned>(lines_.size()), port.name, port.channel));
  for (const auto& line : lines_)
    if (line->channel != nullptr) line->channel->plug(line.get());
}

Console::~Console() {
  for (const auto& line : lines_)
    if (line->channel != nullptr) line->channel->plug(nullptr);
}

void Console::Line::reset() {
  ready = open = told_connected = false;
  owed = 0;
  sending.reset();
  sent = 0;
}

void Console::reset_device() {
  for (const auto& line : lines_) line->reset();
}

bool Console::hold(std::chrono::milliseconds /*patience*/) {
  const Lock held = lock();
  held_ = true;
  return true;
}

void Console::release() {
  const Lock held = lock();
  held_ = false;
  tell();
  wake_all();
}

void Console::wake_all() {
  for (const auto& line : lines_)
    if (line->channel != nullptr) line->channel->wake();
}

/// After DRIVER_OK, or from a snapshot, whose channels were others.
void Console::driver_ready() {
  for (const auto& line : lines_) catch_up(*line);
  tell();
  wake_all();
}

void Console::queue_notified(unsigned queue) {
  if (queue == kControlReceive) return tell();
  if (queue == kControlTransmit) return take_messages();
  const unsigned number = queue < kControlReceive ? 0 : queue / 2 - 1;
  if (Channel* channel = lines_[number]->channel) channel->wake();
}

bool Console::next(unsigned queue, Chain& chain) {
  return take(queue, chain) || (rearm(queue) && take(queue, chain));
}

/// A driver that knows one port only (5.3.5) says nothing of opening it.
bool Console::is_open(const Line& line) const {
  return negotiated(kFeatureMultiport) ? line.open : line.number == 0;
}

size_t Console::send_some(Line& line, std::span<uint8_t> to) {
  const Lock held = lock();
  size_t done = 0;
  bool returned = false;
  while (!held_ && done < to.size()) {
    if (!line.sending) {
      Chain chain;
      if (!next(line.transmit_queue(), chain)) break;
      line.sending = std::move(chain);
      line.sent = 0;
    }
    const uint64_t all = line.sending->readable_bytes();
    const auto part = std::min<uint64_t>(to.size() - done, all - line.sent);
    const bool read = line.sending->read(dma(), line.sent, to.data() + done, part);
    done += read ? part : 0;
    line.sent = read ? line.sent + part : all;  // a buffer outside memory has nothing to say
    if (line.sent < all) break;
    give_back(line.transmit_queue(), *line.sending, 0);
    line.sending.reset();
    returned = true;
  }
  if (returned) signal(line.transmit_queue());
  return done;
}

size_t Console::receive(Line& line, std::span<const uint8_t> bytes) {
  const Lock held = lock();
  if (held_ || !running() || !is_open(line)) return 0;
  size_t done = 0;
  bool returned = false;
  for (Chain chain; done < bytes.size() && next(line.receive_queue(), chain); returned = true) {
    const auto part = static_cast<uint32_t>(std::min<uint64_t>(chain.writable_bytes(), bytes.size() - done));
    const bool written = chain.write(dma(), 0, bytes.data() + done, part);
    give_back(line.receive_queue(), chain, written ? part : 0);
    done += written ? part : 0;
  }
  if (returned) signal(line.receive_queue());
  return done;
}

void Console::channel_changed(Line& line) {
  const Lock held = lock();
  if (!running()) return;
  if (line.number == 0 && negotiated(kFeatureSize)) signal_config();
  catch_up(line);
  if (line.ready && line.number == 0) line.owed |= kSize;
  tell();
}

void Console::catch_up(Line& line) {
  if (line.ready && line.channel->connected() != line.told_connected) line.owed |= kOpen;
}

void Console::take_messages() {
  if (!negotiated(kFeatureMultiport)) return;
  bool returned = false;
  for (Chain chain; next(kControlTransmit, chain); returned = true) {
    Control control;
    const bool read = chain.read(dma(), 0, &control, sizeof control);
    give_back(kControlTransmit, chain, 0);
    if (read) take_message(control.number, control.event, control.value);
  }
  if (returned) signal(kControlTransmit);
  tell();
}

void Console::take_message(uint32_t number, uint16_t event, uint16_t value) {
  if (event == kDeviceReady && value == 1) {
    for (const auto& line : lines_)
      if (line->channel != nullptr) line->owed |= kAdd;
    return;
  }
  if (number >= lines_.size() || lines_[number]->channel == nullptr) return;
  Line& line = *lines_[number];
  if (event == kPortReady) {
    line.ready = value == 1;
    line.told_connected = false;
    if (line.ready) line.owed |= number == 0 ? kConsole | kSize : kName;
    catch_up(line);
  } else if (event == kPortOpen) {
    line.open = value != 0;
    line.channel->wake();
  }
}

/// As many messages as there are buffers for; the others wait. Each is owed at most once, so a driver cannot
/// have them pile up.
void Console::tell() {
  if (held_ || !negotiated(kFeatureMultiport)) return;
  bool returned = false;
  for (const auto& line : lines_) {
    for (const Message what : {kAdd, kConsole, kName, kOpen, kSize}) {
      if ((line->owed & what) == 0) continue;
      if (what == kOpen) line->told_connected = line->channel->connected();
      const std::vector<uint8_t> bytes = message(*line, what);
      Chain chain;
      if (!bytes.empty() && !next(kControlReceive, chain)) {
        if (returned) signal(kControlReceive);
        return;
      }
      line->owed = static_cast<uint8_t>(line->owed & ~what);
      if (bytes.empty()) continue;
      const bool written = chain.write(dma(), 0, bytes.data(), bytes.size());
      give_back(kControlReceive, chain, written ? static_cast<uint32_t>(bytes.size()) : 0);
      returned = true;
    }
  }
  if (returned) signal(kControlReceive);
}

/// Empty: there is nothing to say.
std::vector<uint8_t> Console::message(const Line& line, Message what) const {
  std::vector<uint8_t> bytes;
  const auto begin = [&](uint16_t event, uint16_t value) {
    append(bytes, Control{.number = line.number, .event = event, .value = value});
  };
  const auto size = line.channel->size();
  switch (what) {
    case kAdd:
      begin(kPortAdd, 0);
      break;
    case kConsole:
      begin(kConsolePort, 1);
      break;
    case kName:
      begin(kPortName, 1);
      bytes.insert(bytes.end(), line.name.begin(), line.name.end());
      break;
    case kOpen:
      begin(kPortOpen, line.told_connected ? 1 : 0);
      break;
    case kSize:
      if (!size) break;
      begin(kResize, 0);
      // In this order: the specification has the other one, which no driver was ever written to.
      append(bytes, size->rows);
      append(bytes, size->columns);
      break;
  }
  return bytes;
}

/// Columns, rows, number of ports, emergency write, which is not offered (5.3.4).
std::vector<uint8_t> Console::config() {
  const Channel* console = lines_.front()->channel;
  const TextSize size = (console == nullptr ? std::nullopt : console->size()).value_or(TextSize{});
  std::vector<uint8_t> bytes;
  append(bytes, size.columns);
  append(bytes, size.rows);
  append(bytes, static_cast<uint32_t>(lines_.size()));
  append(bytes, uint32_t{0});
  return bytes;
}

void Console::save_device(StateWriter& to) const {
  for (const auto& line : lines_) {
    to(line->ready, line->open, line->told_connected, line->owed, line->sending.has_value());
    if (!line->sending) continue;
    to(line->sent);
    line->sending->save(to);
  }
}

void Console::load_device(StateReader& from) {
  for (const auto& line : lines_) {
    bool sending = false;
    from(line->ready, line->open, line->told_connected, line->owed, sending);
    if (line->channel == nullptr && (line->ready || line->owed != 0)) from.fail();
    if (from.failed()) return;
    if (!sending) continue;
    from(line->sent);
    line->sending.emplace().load(from);
    if (line->sent > line->sending->readable_bytes()) from.fail();
  }
}

}  // namespace eidolon::device::virtio
