#include "vhost/served_device.h"

#include <algorithm>

#include "backend/terminal.h"
#include "base/assert.h"
#include "base/try.h"

namespace eidolon::vhost {

using device::virtio::Segment;
using std::chrono::milliseconds;

namespace {

/// Where descriptors find the rings' memory: behind all that a guest can have.
constexpr uint64_t kRingsAt = uint64_t{1} << 46;
/// A reset of the guest waits so long for answers; then the back end is taken for broken.
constexpr milliseconds kAnswerTime{10'000};
constexpr milliseconds kFirstPause{100}, kLongestPause{1000};

}  // namespace

Result<std::unique_ptr<ServedDevice>> ServedDevice::create(Shape shape, Source source, BackEnd back_end,
                                                           memory::GuestMemory& memory) {
  EIDOLON_ASSERT(memory.shared_file() >= 0);
  const size_t queues = shape.queue_sizes.size();
  backend::Wakeup wakeup = EIDOLON_TRY(backend::Wakeup::create());
  std::unique_ptr<ServedDevice> device(
      new ServedDevice(std::move(shape), std::move(source), std::move(back_end), memory, std::move(wakeup)));
  for (size_t i = 0; i < queues; ++i) {
    backend::Wakeup bell = EIDOLON_TRY(backend::Wakeup::create());
    backend::Wakeup kick = EIDOLON_TRY(backend::Wakeup::create());
    backend::Wakeup call = EIDOLON_TRY(backend::Wakeup::create());
    device->served_.push_back(std::make_unique<Queue>(std::move(bell), std::move(kick), std::move(call)));
  }
  return device;
}

ServedDevice::~ServedDevice() {
  {
    const Lock held = lock();
    stopping_ = true;
  }
  wakeup_.raise();
  if (thread_.joinable()) thread_.join();
}

std::vector<uint8_t> ServedDevice::config() {
  std::vector<uint8_t> bytes = source_.config;
  if (source_.link_at && missed_) bytes[*source_.link_at] &= static_cast<uint8_t>(~1u);
  return bytes;
}

void ServedDevice::show_link() {
  if (source_.link_at && running()) signal_config();
}

void ServedDevice::queue_notified(unsigned queue) {
  if (serving_ && wanted()) fetch(queue);
}

void ServedDevice::driver_ready() {
  if (!started_) thread_ = std::thread([this] { thread_main(); });
  started_ = true;
  wakeup_.raise();
}

void ServedDevice::reset_device() {
  for (const auto& queue : served_) {
    queue->asked.clear();
    queue->waiting.reset();
  }
}

void ServedDevice::quiesce() {
  Lock held = lock();
  ++halts_;
  wakeup_.raise();
  changed_.wait(held, [this] { return !serving_ && !starting_; });
}

void ServedDevice::resume() {
  const Lock held = lock();
  --halts_;
  wakeup_.raise();
}

void ServedDevice::thread_main() {
  Lock held = lock();
  while (!stopping_) {
    while (!stopping_ && adjust(held)) {
    }
    if (stopping_) return;
    const bool connected = wait(held);
    bool right = true;
    for (unsigned i = 0; serving_ && i < served_.size(); ++i) {
      right = collect(i) && right;
      if (wanted()) fetch(i);
    }
    if (!back_end_) continue;
    if (!right) lose("it gives back what it was not asked");
    if (!connected) lose("it has closed the connection");
  }
}

bool ServedDevice::adjust(Lock& held) {
  if (!back_end_) {
    if (Clock::now() < look_again_at_) return false;
    reach(held);
    return back_end_.has_value();
  }
  if (wanted() == serving_) return false;
  if (wanted()) {
    start(held);
  } else {
    if (!drained()) return false;
    stop(held);
  }
  return true;
}

void ServedDevice::reach(Lock& held) {
  held.unlock();
  Result<BackEnd> found = BackEnd::reach(source_.socket, source_.config_asked);
  held.lock();
  if (found && fits(*found)) {
    back_end_ = *std::move(found);
    other_ = false;
    return;
  }
  if (found && !std::exchange(other_, true))
    backend::say(
        fmt::format("eidolon: what is served at '{}' now is another {} than before; start the back end "
                    "with the one before",
                    source_.socket, source_.what));
  pause_ = std::min(2 * pause_, kLongestPause);
  look_again_at_ = Clock::now() + pause_;
}

/// Whether the driver goes on as if nothing had been.
bool ServedDevice::fits(const BackEnd& other) const {
  constexpr size_t kCapacity = 8;
  const auto same = static_cast<ptrdiff_t>(std::min(kCapacity, other.config().size()));
  return (shape().features & ~source_.own_features & ~other.features()) == 0 &&
         (other.queues() == 0 || other.queues() >= source_.least_queues) &&
         std::equal(other.config().begin(), other.config().begin() + same, source_.config.begin());
}

void ServedDevice::start(Lock& held) {
  starting_ = true;
  uint64_t features = device::virtio::kFeatureVersion1;
  for (unsigned bit = 0; bit < 64; ++bit) {
    const uint64_t feature = shape().features & ~source_.own_features & uint64_t{1} << bit;
    if (feature != 0 && negotiated(feature)) features |= feature;
  }
  held.unlock();
  const Result<> done = tell_start(features);
  held.lock();
  starting_ = false;
  changed_.notify_all();
  if (!done) return lose(done.error().message);
  serving_ = true;
  if (std::exchange(missed_, false)) {
    backend::say(fmt::format("eidolon: the back end at '{}' is there again", source_.socket));
    show_link();
  }
  if (!wanted()) return;
  ask_again();
  for (unsigned i = 0; i < served_.size(); ++i) fetch(i);
}

/// No lock held: while it starts, nobody else looks at the rings.
Result<> ServedDevice::tell_start(uint64_t features) {
  rings_.emplace(EIDOLON_TRY(SharedMemory::create(served_.size() * SharedRing::kBytes)));
  std::vector<BackEnd::Ring> rings;
  for (const auto& queue : served_) {
    const auto bytes = rings_->bytes().subspan(rings.size() * SharedRing::kBytes, SharedRing::kBytes);
    queue->ring.emplace(bytes);
    const uint64_t at = kRingsAt + rings.size() * SharedRing::kBytes;
    rings.push_back({.size = SharedRing::kSize,
                     .descriptors = at + SharedRing::kDescriptors,
                     .available = at + SharedRing::kAvailable,
                     .used = at + SharedRing::kUsed,
                     .kick = queue->kick.watched().fd,
                     .call = queue->call.watched().fd});
  }
  return back_end_->start(features, {.file = memory_.shared_file(), .bytes = memory_.bytes(), .guest = 0},
                          {.file = rings_->file(), .bytes = rings_->bytes(), .guest = kRingsAt}, rings);
}

/// What the back end before this one has not answered.
void ServedDevice::ask_again() {
  for (const auto& queue : served_) {
    // There is room: it is what had room before.
    for (const auto& [number, chain] : queue->asked)
      if (!add(*queue, number, chain)) return;
    queue->kick.raise();
  }
}

/// What a back end has taken along that only it could answer.
void ServedDevice::refuse_all() {
  for (unsigned i = 0; i < served_.size(); ++i) {
    for (const auto& [number, chain] : served_[i]->asked) fill(i, chain, source_.refuse(dma(), chain));
    served_[i]->asked.clear();
    publish(i);
    signal(i);
  }
}

/// Whether the back end can be stopped: all is answered, or it has had its time.
bool ServedDevice::drained() {
  if (!source_.answers_all) return true;
  const bool all =
      std::ranges::all_of(served_, [](const auto& queue) { return queue->ring->under_way() == 0; });
  if (all) return true;
  if (!give_up_at_) give_up_at_ = Clock::now() + kAnswerTime;
  return Clock::now() >= *give_up_at_;
}

void ServedDevice::stop(Lock& held) {
  const bool late =
      std::exchange(give_up_at_, std::nullopt).has_value() &&
      std::ranges::any_of(served_, [](const auto& queue) { return queue->ring->under_way() != 0; });
  if (late) return lose("it does not answer");
  held.unlock();
  const Result<> stopped = back_end_->stop(static_cast<unsigned>(served_.size()));
  held.lock();
  for (unsigned i = 0; i < served_.size(); ++i) (void)collect(i);  // the last ones
  if (!stopped) return lose(stopped.error().message);
  serving_ = false;
  changed_.notify_all();
}

void ServedDevice::lose(std::string_view why) {
  back_end_.reset();
  serving_ = false;
  give_up_at_.reset();
  changed_.notify_all();
  pause_ = std::clamp(2 * pause_, kFirstPause, kLongestPause);
  look_again_at_ = Clock::now() + pause_;
  if (source_.refuse != nullptr) refuse_all();
  if (std::exchange(missed_, true)) return;
  show_link();
  backend::say(fmt::format(
      "eidolon: the back end at '{}' serves the {} no more ({}); it waits until there is one again",
      source_.socket, source_.what, why));
}

/// Milliseconds to wait at most; -1: for ever.
int ServedDevice::patience() const {
  std::optional<Clock::time_point> until = give_up_at_;
  if (!back_end_) until = look_again_at_;
  if (!until) return -1;
  const auto left = std::chrono::ceil<milliseconds>(*until - Clock::now());
  return static_cast<int>(std::max<int64_t>(left.count(), 0));
}

bool ServedDevice::wait(Lock& held) {
  std::vector<pollfd> watched = {
      wakeup_.watched(), {.fd = back_end_ ? back_end_->watched() : -1, .events = POLLIN, .revents = 0}};
  for (const auto& queue : served_) {
    watched.push_back(queue->call.watched());
    watched.push_back(queue->bell.watched());
  }
  const int limit = patience();
  held.unlock();
  (void)poll(watched.data(), watched.size(), limit);
  if (watched[0].revents != 0) wakeup_.drain();
  for (size_t i = 0; i < served_.size(); ++i) {
    if (watched[2 + 2 * i].revents != 0) served_[i]->call.drain();
    if (watched[3 + 2 * i].revents != 0) served_[i]->bell.drain();
  }
  held.lock();
  return watched[1].revents == 0;  // it says nothing that it was not asked
}

void ServedDevice::fetch(unsigned number) {
  Queue& queue = *served_[number];
  bool added = false;
  for (;;) {
    if (!queue.waiting) {
      Chain chain;
      if (!take(number, chain) && (!rearm(number) || !take(number, chain))) break;
      queue.waiting = std::move(chain);
    }
    if (!add(queue, next_number_, *queue.waiting)) break;
    queue.asked.emplace(next_number_++, *std::exchange(queue.waiting, std::nullopt));
    added = true;
  }
  if (added && queue.ring->kick_wanted()) queue.kick.raise();
}

/// False: there is no room, or the driver did what it must not.
bool ServedDevice::add(Queue& queue, uint64_t number, const Chain& chain) {
  const auto pieces = pieces_of(chain);
  if (!pieces || pieces->empty()) {
    need_reset();
    return false;
  }
  const std::optional<uint16_t> head = queue.ring->add(*pieces);
  if (head) queue.numbers[*head] = number;
  return head.has_value();
}

/// Where the back end finds a buffer; nothing: it is not in memory.
std::optional<std::vector<SharedRing::Piece>> ServedDevice::pieces_of(const Chain& chain) {
  std::vector<SharedRing::Piece> pieces;
  const auto add_piece = [&](const Segment& segment, std::span<const uint8_t> bytes, bool written) {
    if (segment.length == 0) return true;
    if (bytes.size() != segment.length) return false;
    pieces.push_back({.address = static_cast<uint64_t>(bytes.data() - memory_.bytes().data()),
                      .length = segment.length,
                      .written = written});
    return true;
  };
  for (const Segment& segment : chain.readable())
    if (!add_piece(segment, dma().readable(segment.address, segment.length), false)) return std::nullopt;
  for (const Segment& segment : chain.writable())
    if (!add_piece(segment, dma().writable(segment.address, segment.length), true)) return std::nullopt;
  return pieces;
}

/// What came back together is shown to the driver together: it may be one frame in several buffers.
bool ServedDevice::collect(unsigned number) {
  Queue& queue = *served_[number];
  SharedRing::Used used;
  SharedRing::Take taken;
  while ((taken = queue.ring->take(used)) == SharedRing::Take::kUsed) {
    const auto found = queue.asked.find(queue.numbers[used.head]);
    if (found == queue.asked.end()) continue;  // answered in its stead
    const Chain chain = std::move(found->second);
    queue.asked.erase(found);
    pause_ = milliseconds(0);  // one that answers is well
    // It may have written anywhere, whatever it says.
    for (const Segment& segment : chain.writable()) dma().written(segment.address, segment.length);
    const bool possible = used.length <= chain.writable_bytes();
    fill(number, chain, possible ? used.length : 0);
    if (possible) continue;
    taken = SharedRing::Take::kBroken;
    break;
  }
  publish(number);
  signal(number);
  return taken == SharedRing::Take::kNone;
}

}  // namespace eidolon::vhost
