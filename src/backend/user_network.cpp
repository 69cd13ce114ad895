#include "backend/user_network.h"

#include <arpa/inet.h>
#include <slirp/libslirp.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/assert.h"
#include "base/try.h"

namespace eidolon::backend {

namespace {

constexpr int64_t kNsPerMs = 1'000'000;

int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

in_addr address(const std::string& text) {
  in_addr result{};
  inet_pton(AF_INET, text.c_str(), &result);
  return result;
}

int to_poll(int events) {
  int result = 0;
  if ((events & SLIRP_POLL_IN) != 0) result |= POLLIN;
  if ((events & SLIRP_POLL_OUT) != 0) result |= POLLOUT;
  if ((events & SLIRP_POLL_PRI) != 0) result |= POLLPRI;
  return result;
}

int from_poll(int events) {
  int result = 0;
  if ((events & POLLIN) != 0) result |= SLIRP_POLL_IN;
  if ((events & POLLOUT) != 0) result |= SLIRP_POLL_OUT;
  if ((events & POLLPRI) != 0) result |= SLIRP_POLL_PRI;
  if ((events & POLLERR) != 0) result |= SLIRP_POLL_ERR;
  if ((events & POLLHUP) != 0) result |= SLIRP_POLL_HUP;
  return result;
}

}  // namespace

/// Each is called on the network's thread, or while it does not run yet.
struct UserNetwork::Callbacks {
  static UserNetwork& of(void* self) { return *static_cast<UserNetwork*>(self); }

  static ssize_t send_packet(const void* frame, size_t length, void* self) {
    of(self).to_guest({static_cast<const uint8_t*>(frame), length});
    return static_cast<ssize_t>(length);
  }
  static void guest_error(const char* /*message*/, void* /*self*/) {}
  static int64_t clock_get_ns(void* /*self*/) { return now_ns(); }
  static void* timer_new(SlirpTimerCb callback, void* cookie, void* self) {
    return &of(self).alarms_.emplace_back(Alarm{callback, cookie, -1});
  }
  static void timer_free(void* timer, void* self) {
    of(self).alarms_.remove_if([timer](const Alarm& alarm) { return &alarm == timer; });
  }
  static void timer_mod(void* timer, int64_t due_ms, void* /*self*/) {
    static_cast<Alarm*>(timer)->due_ms = due_ms;
  }
  static void register_poll_fd(int /*fd*/, void* /*self*/) {}
  static void unregister_poll_fd(int /*fd*/, void* /*self*/) {}
  static void notify(void* self) { of(self).wake(); }

  static int add_poll(int fd, int events, void* self) {
    std::vector<pollfd>& watched = of(self).watched_;
    watched.push_back({.fd = fd, .events = static_cast<short>(to_poll(events)), .revents = 0});
    return static_cast<int>(watched.size()) - 1;
  }
  static int get_events(int index, void* self) {
    return from_poll(of(self).watched_[static_cast<size_t>(index)].revents);
  }

  static constexpr SlirpCb kTable = {.send_packet = send_packet,
                                     .guest_error = guest_error,
                                     .clock_get_ns = clock_get_ns,
                                     .timer_new = timer_new,
                                     .timer_free = timer_free,
                                     .timer_mod = timer_mod,
                                     .register_poll_fd = register_poll_fd,
                                     .unregister_poll_fd = unregister_poll_fd,
                                     .notify = notify,
                                     .init_completed = nullptr,
                                     .timer_new_opaque = nullptr};
};

Result<std::unique_ptr<UserNetwork>> UserNetwork::create(unsigned number,
                                                         std::span<const PublishedPort> published) {
  Wakeup wakeup = EIDOLON_TRY(Wakeup::create());
  EIDOLON_ASSERT(number <= kMostNumber);
  const std::string name = number == 0 ? "user-network" : fmt::format("user-network{}", number);
  const std::string prefix = fmt::format("10.0.{}.", 2 + number);
  std::unique_ptr<UserNetwork> network(new UserNetwork(std::move(wakeup), name));
  SlirpConfig config{};
  config.version = 1;
  config.in_enabled = true;
  config.vnetwork = address(prefix + "0");
  config.vnetmask = address("255.255.255.0");
  config.vhost = address(prefix + "2");
  config.vdhcp_start = address(prefix + "15");
  config.vnameserver = address(prefix + "3");
  config.vhostname = "eidolon";
  network->slirp_ = slirp_new(&config, &Callbacks::kTable, network.get());
  if (network->slirp_ == nullptr) return fail("the user-mode network could not be started; use --net none");
  for (const PublishedPort& port : published) EIDOLON_TRY(network->publish(port));
  network->published_.assign(published.begin(), published.end());
  return network;
}

UserNetwork::~UserNetwork() {
  stopping_.store(true);
  wakeup_.raise();
  if (thread_.joinable()) thread_.join();
  if (slirp_ != nullptr) slirp_cleanup(slirp_);
}

Result<> UserNetwork::publish(const PublishedPort& port) {
  if (slirp_add_hostfwd(slirp_, port.udp ? 1 : 0, address(port.host_address), port.host_port, in_addr{},
                        port.guest_port) == 0)
    return {};
  return fail("cannot listen on {}:{} ({}); name another port with --publish", port.host_address,
              port.host_port, strerror(errno));
}

void UserNetwork::let_go() {
  std::unique_lock lock(slirp_mutex_);
  for (const PublishedPort& port : published_)
    slirp_remove_hostfwd(slirp_, port.udp ? 1 : 0, address(port.host_address), port.host_port);
  // A socket that is closed listens on until nobody waits for it any more.
  wakeup_.raise();
  polled_.wait(lock, [this, before = polls_done_] { return !polls_ || polls_done_ != before; });
}

bool UserNetwork::take_back() {
  const std::lock_guard lock(slirp_mutex_);
  bool all = true;
  for (const PublishedPort& port : published_) all = publish(port).has_value() && all;
  return all;
}

void UserNetwork::plug(device::net::Card* card) {
  std::lock_guard lock(card_mutex_);
  card_ = card;
}

void UserNetwork::wake() {
  std::call_once(started_, [this] { thread_ = std::thread([this] { thread_main(); }); });
  wakeup_.raise();
}

void UserNetwork::thread_main() {
  std::unique_lock slirp(slirp_mutex_);
  while (!stopping_.load()) {
    send_frames();
    flush();
    deliver_kept();
    wait(slirp);
    run_alarms();
    flush();
  }
}

void UserNetwork::send_frames() {
  constexpr unsigned kAtOnce = 256;  // then look after the sockets too
  for (unsigned i = 0; i < kAtOnce; ++i) {
    {
      std::lock_guard lock(card_mutex_);
      if (card_ == nullptr || !next_frame()) return;
    }
    slirp_input(slirp_, frame_.data(), static_cast<int>(frame_.size()));
  }
  wake();  // not done
}

/// Into frame_, with card_mutex_ held. Only packets of IPv6 have to be as short as the MTU says.
bool UserNetwork::next_frame() {
  if (segments_.next(frame_)) return true;
  device::net::Offload offload;
  if (!card_->next_large(frame_, offload)) return false;
  if (offload.cut == device::net::Cut::kTcp6)
    return segments_.begin(frame_, offload) && segments_.next(frame_);
  finish_sum(frame_, offload);
  return true;
}

void UserNetwork::deliver_kept() {
  std::lock_guard lock(card_mutex_);
  while (!kept_.empty() && card_ != nullptr &&
         delivery_.deliver(*card_, kept_.front().frame, kept_.front().offload)) {
    kept_bytes_ -= kept_.front().frame.size();
    kept_.pop_front();
  }
}

/// Segments that come in one pass of the thread, one behind the other, become one packet: nothing waits for
/// one that has not come yet. One that is alone goes as it is.
void UserNetwork::to_guest(std::span<const uint8_t> frame) {
  if (coalescer_.add(frame)) return;
  flush();
  if (takes_large() && coalescer_.begin(frame)) return;
  deliver(frame, {.sum_valid = true});
}

/// Gives the guest what was put together, before anything else goes to it and at the end of a pass.
void UserNetwork::flush() {
  if (coalescer_.empty()) return;
  const device::net::Offload offload = coalescer_.finish();
  deliver(coalescer_.bytes(), offload);
  coalescer_.clear();
}

bool UserNetwork::takes_large() {
  std::lock_guard lock(card_mutex_);
  return card_ != nullptr && card_->takes({.sum_missing = true, .cut = device::net::Cut::kTcp4});
}

void UserNetwork::deliver(std::span<const uint8_t> frame, const device::net::Offload& offload) {
  std::lock_guard lock(card_mutex_);
  if (card_ == nullptr || (kept_.empty() && delivery_.deliver(*card_, frame, offload))) return;
  if (kept_bytes_ + frame.size() > kMostKept) return;
  kept_.push_back({.frame = {frame.begin(), frame.end()}, .offload = offload});
  kept_bytes_ += frame.size();
}

void UserNetwork::wait(std::unique_lock<std::mutex>& slirp) {
  watched_.assign(1, wakeup_.watched());
  uint32_t timeout = 60'000;
  slirp_pollfds_fill(slirp_, &timeout, Callbacks::add_poll, this);
  for (const Alarm& alarm : alarms_) {
    if (alarm.due_ms < 0) continue;
    const int64_t left = std::max<int64_t>(alarm.due_ms - now_ns() / kNsPerMs, 0);
    timeout = static_cast<uint32_t>(std::min<int64_t>(timeout, left));
  }
  polls_ = true;
  slirp.unlock();
  const int ready = poll(watched_.data(), watched_.size(), static_cast<int>(timeout));
  slirp.lock();
  polls_ = false;
  ++polls_done_;
  polled_.notify_all();
  if (watched_[0].revents != 0) wakeup_.drain();
  slirp_pollfds_poll(slirp_, ready < 0 ? 1 : 0, Callbacks::get_events, this);
}

void UserNetwork::save(StateWriter& to) const {
  std::vector<uint8_t> state;
  {
    std::lock_guard lock(slirp_mutex_);
    slirp_state_save(
        slirp_,
        [](const void* bytes, size_t length, void* into) {
          const auto* first = static_cast<const uint8_t*>(bytes);
          auto& vector = *static_cast<std::vector<uint8_t>*>(into);
          vector.insert(vector.end(), first, first + length);
          return static_cast<ssize_t>(length);
        },
        &state);
  }
  to.begin(name(), 1);
  to(static_cast<int32_t>(slirp_state_version()), state);
  to.end();
}

void UserNetwork::load(StateReader& from) {
  int32_t version = 0;
  std::vector<uint8_t> state;
  from.begin(name());
  from(version, state);
  from.end();
  // It begins with the connections, of which libslirp saves none of those that we make: a list that is not
  // empty was made by somebody else, and libslirp trusts it.
  if (from.failed() || version > slirp_state_version() || state.empty() || state[0] != 0) return from.fail();
  std::span<const uint8_t> left = state;
  std::lock_guard lock(slirp_mutex_);
  const int loaded = slirp_state_load(
      slirp_, version,
      [](void* bytes, size_t length, void* source) {
        auto& rest = *static_cast<std::span<const uint8_t>*>(source);
        const size_t count = std::min(length, rest.size());
        std::copy_n(rest.begin(), count, static_cast<uint8_t*>(bytes));
        std::fill_n(static_cast<uint8_t*>(bytes) + count, length - count, uint8_t{0});
        rest = rest.subspan(count);
        return static_cast<ssize_t>(length);
      },
      &left);
  if (loaded != 0) from.fail();
}

void UserNetwork::run_alarms() {
  const int64_t now = now_ns() / kNsPerMs;
  for (Alarm& alarm : alarms_) {
    if (alarm.due_ms < 0 || alarm.due_ms > now) continue;
    alarm.due_ms = -1;
    alarm.callback(alarm.cookie);
  }
}

}  // namespace eidolon::backend
