// A back end on a thread of the test's, as a good one is, or as one should not be: of a disk, of a network
// that sends back what it gets, or of a folder whose server answers with its number.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "backend/wakeup.h"
#include "base/file.h"
#include "vhost/protocol.h"

namespace eidolon::vhost {

/// What is on a disk, whichever back end serves it. Shared memory that is mapped twice orders nothing for a
/// checker of threads, so this has a lock.
class FakeDisk {
 public:
  [[nodiscard]] uint8_t get(size_t at) {
    const std::lock_guard lock(mutex_);
    return bytes_.at(at);
  }
  void put(size_t at, uint8_t byte) { write(at, {&byte, 1}); }
  void read(size_t at, std::span<uint8_t> into) {
    const std::lock_guard lock(mutex_);
    std::copy_n(bytes_.begin() + static_cast<ptrdiff_t>(at), into.size(), into.begin());
  }
  void write(size_t at, std::span<const uint8_t> from) {
    const std::lock_guard lock(mutex_);
    std::ranges::copy(from, bytes_.begin() + static_cast<ptrdiff_t>(at));
  }

 private:
  std::mutex mutex_;
  std::vector<uint8_t> bytes_ = std::vector<uint8_t>(64 << 10);
};

class FakeBackEnd {
 public:
  enum class Manner {
    kGood,
    kSilent,      ///< takes requests and answers none
    kWrongHead,   ///< gives back what it has not got
    kTooLong,     ///< says that it wrote more than there is room
    kOneMore,     ///< counts further than it has answered
    kNoConfig,    ///< answers with no configuration
    kRefuses,     ///< the memory
    kNoProtocol,  ///< is older than protocol features
    kGarbage,     ///< answers what is no answer
  };
  enum class Kind { kDisk, kNetwork, kFolder } kind = Kind::kDisk;
  static constexpr uint64_t kVersion1 = uint64_t{1} << 32;
  uint64_t features = kVersion1 | kFeatureProtocol | 1u << 2 | 1u << 9 | 1u << 12 | 1u << 11;
  uint64_t sectors = 128;
  uint16_t queues = 2;

  FakeBackEnd(std::string path, FakeDisk& disk, Manner manner = Manner::kGood)
      : path_(std::move(path)), disk_(disk), manner_(manner) {}
  ~FakeBackEnd() { die(); }

  void start() {
    unlink(path_.c_str());
    listener_ = FileDescriptor(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path_.c_str(), sizeof address.sun_path - 1);
    ASSERT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(listen(listener_.get(), 4), 0);
    thread_ = std::thread([this] { main(); });
  }
  /// With all that it has not answered.
  void die() {
    ending_.store(true);
    wakeup_.raise();
    if (thread_.joinable()) thread_.join();
    hang_up();
    listener_.reset();
    unlink(path_.c_str());
  }

  std::atomic<unsigned> requests{0}, starts{0}, stops{0};
  std::atomic<unsigned> lost_rings{0};  ///< that are nowhere any more when there is other memory
  std::atomic<uint64_t> accepted{0};

 private:
  struct Mapping {
    MemoryRegion region;
    uint8_t* at;
  };
  struct Ring {
    uint32_t size = 0;
    RingAddresses addresses{};
    FileDescriptor kick, call;
    uint16_t next = 0, used = 0;
    bool enabled = false;
  };
  struct Descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags;
    uint16_t next;
  };

  void main() {
    while (!ending_.load()) {
      std::vector<pollfd> watched = {wakeup_.watched(),
                                     {.fd = listener_.get(), .events = POLLIN, .revents = 0},
                                     {.fd = connection_.get(), .events = POLLIN, .revents = 0}};
      if (connection_.valid()) watched[1].fd = -1;  // one at a time
      std::vector<uint32_t> rings;
      for (const auto& [index, ring] : rings_) {
        if (!ring.kick.valid()) continue;
        rings.push_back(index);
        watched.push_back({.fd = ring.kick.get(), .events = POLLIN, .revents = 0});
      }
      (void)poll(watched.data(), watched.size(), -1);
      for (size_t i = 0; i < rings.size(); ++i)
        if (watched[3 + i].revents != 0) serve(rings[i]);
      if (watched[1].revents != 0)
        connection_ = FileDescriptor(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (watched[2].revents != 0 && !message()) hang_up();
    }
  }

  void hang_up() {
    connection_.reset();
    rings_.clear();
    for (const Mapping& mapping : memory_) munmap(mapping.at, mapping.region.size);
    memory_.clear();
  }

  bool message() {
    Header header;
    iovec part = {&header, sizeof header};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(8 * sizeof(int))> ancillary{};
    msghdr received{};
    received.msg_iov = &part;
    received.msg_iovlen = 1;
    received.msg_control = ancillary.data();
    received.msg_controllen = ancillary.size();
    if (recvmsg(connection_.get(), &received, MSG_WAITALL | MSG_CMSG_CLOEXEC) != sizeof header) return false;
    std::vector<FileDescriptor> files;
    if (const cmsghdr* rights = CMSG_FIRSTHDR(&received); rights != nullptr) {
      std::array<int, 8> numbers{};
      const size_t bytes = rights->cmsg_len - CMSG_LEN(0);
      std::memcpy(numbers.data(), CMSG_DATA(rights), bytes);
      for (size_t i = 0; i < bytes / sizeof(int); ++i) files.emplace_back(numbers[i]);
    }
    std::vector<uint8_t> payload(header.size);
    if (header.size != 0 && recv(connection_.get(), payload.data(), payload.size(), MSG_WAITALL) <= 0)
      return false;
    const bool answered = obey(static_cast<Request>(header.request), payload, files);
    if ((header.flags & kNeedReply) == 0 || answered) return true;
    const uint64_t refused =
        manner_ == Manner::kRefuses && header.request == static_cast<uint32_t>(Request::kSetMemoryTable) ? 1
                                                                                                         : 0;
    reply(static_cast<Request>(header.request), refused);
    return true;
  }

  template <typename T>
  void reply(Request request, const T& value) {
    reply(request, std::vector<uint8_t>(reinterpret_cast<const uint8_t*>(&value),
                                        reinterpret_cast<const uint8_t*>(&value) + sizeof value));
  }
  void reply(Request request, const std::vector<uint8_t>& payload) {
    const Header header = {.request = static_cast<uint32_t>(request),
                           .flags = kVersion | kReply,
                           .size = static_cast<uint32_t>(payload.size())};
    std::vector<uint8_t> bytes(sizeof header + payload.size());
    std::memcpy(bytes.data(), &header, sizeof header);
    std::ranges::copy(payload, bytes.begin() + sizeof header);
    if (manner_ == Manner::kGarbage) std::ranges::fill(bytes, uint8_t{0xff});
    (void)!send(connection_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  template <typename T>
  static T as(const std::vector<uint8_t>& payload) {
    T value{};
    std::memcpy(&value, payload.data(), std::min(payload.size(), sizeof value));
    return value;
  }

  /// Whether it has answered.
  bool obey(Request request, const std::vector<uint8_t>& payload, std::vector<FileDescriptor>& files) {
    switch (request) {
      case Request::kGetFeatures:
        reply(request, manner_ == Manner::kNoProtocol ? features & ~kFeatureProtocol : features);
        return true;
      case Request::kSetFeatures:
        accepted.store(as<uint64_t>(payload));
        return false;
      case Request::kGetProtocolFeatures:
        reply(request, kProtocolQueues | kProtocolAcknowledge | kProtocolConfig);
        return true;
      case Request::kGetQueueCount:
        reply(request, uint64_t{queues});
        return true;
      case Request::kGetConfig: {
        std::vector<uint8_t> answer = payload;
        std::memcpy(&answer[sizeof(ConfigPart)], &sectors, sizeof sectors);
        const uint32_t segments = 126;
        std::memcpy(&answer[sizeof(ConfigPart) + 12], &segments, sizeof segments);
        std::memcpy(&answer[sizeof(ConfigPart) + 34], &queues, sizeof queues);
        if (manner_ == Manner::kNoConfig) answer.clear();
        reply(request, answer);
        return true;
      }
      case Request::kSetMemoryTable:
        map(as<MemoryTable>(payload), files);
        return false;
      case Request::kSetRingSize:
        ring_of(payload).size = as<RingState>(payload).value;
        return false;
      case Request::kSetRingBase:
        ring_of(payload).next = ring_of(payload).used = static_cast<uint16_t>(as<RingState>(payload).value);
        return false;
      case Request::kSetRingAddresses:
        ring_of(payload).addresses = as<RingAddresses>(payload);
        return false;
      case Request::kSetRingCall:
        ring_of(payload).call = std::move(files.at(0));
        return false;
      case Request::kSetRingKick:
        ring_of(payload).kick = std::move(files.at(0));
        return false;
      case Request::kSetRingEnable:
        ring_of(payload).enabled = true;
        ++starts;
        return false;
      case Request::kGetRingBase: {
        Ring& ring = ring_of(payload);
        ring.kick.reset();
        ++stops;
        reply(request, RingState{.index = as<RingState>(payload).index, .value = ring.next});
        return true;
      }
      default:
        return false;
    }
  }
  Ring& ring_of(const std::vector<uint8_t>& payload) { return rings_[as<RingState>(payload).index & 0xff]; }

  void map(const MemoryTable& table, const std::vector<FileDescriptor>& files) {
    for (const Mapping& mapping : memory_) munmap(mapping.at, mapping.region.size);
    memory_.clear();
    for (size_t i = 0; i < table.regions.size(); ++i) {
      void* at = mmap(nullptr, table.regions[i].size, PROT_READ | PROT_WRITE, MAP_SHARED, files.at(i).get(),
                      static_cast<off_t>(table.regions[i].offset));
      EXPECT_NE(at, MAP_FAILED);
      memory_.push_back({.region = table.regions[i], .at = static_cast<uint8_t*>(at)});
    }
    // As libvhost-user does: those of the last start are still what it knows.
    for (const auto& [index, ring] : rings_) {
      const uint64_t used = ring.addresses.used;
      if (used != 0 && std::ranges::none_of(memory_, [used](const Mapping& mapping) {
            return used - mapping.region.user < mapping.region.size;
          }))
        ++lost_rings;
    }
  }
  uint8_t* find(uint64_t address, uint64_t length, uint64_t MemoryRegion::*start) {
    for (const Mapping& mapping : memory_) {
      const uint64_t offset = address - mapping.region.*start;
      if (offset < mapping.region.size && length <= mapping.region.size - offset) return mapping.at + offset;
    }
    ADD_FAILURE() << "no memory at " << address;
    return nullptr;
  }

  void serve(uint32_t index) {
    Ring& ring = rings_[index];
    uint64_t count = 0;
    (void)!read(ring.kick.get(), &count, sizeof count);
    auto* available =
        reinterpret_cast<uint16_t*>(find(ring.addresses.available, 6 + 2 * ring.size, &MemoryRegion::user));
    auto* used = find(ring.addresses.used, 6 + 8 * ring.size, &MemoryRegion::user);
    if (kind == Kind::kNetwork && index == 0) return;  // room for frames that come
    while (__atomic_load_n(&available[1], __ATOMIC_ACQUIRE) != ring.next) {
      const uint16_t head = available[2 + ring.next++ % ring.size];
      const uint32_t written = manner_ == Manner::kSilent ? 0 : carry_out(buffer_at(ring, head));
      ++requests;
      if (manner_ == Manner::kSilent) continue;
      const std::array<uint32_t, 2> entry = {manner_ == Manner::kWrongHead ? head + 500u : head,
                                             manner_ == Manner::kTooLong ? 1u << 20 : written};
      std::memcpy(used + 4 + ring.used++ % ring.size * 8, entry.data(), sizeof entry);
      if (manner_ == Manner::kOneMore) ++ring.used;
      __atomic_store_n(reinterpret_cast<uint16_t*>(used + 2), ring.used, __ATOMIC_RELEASE);
      const uint64_t one = 1;
      (void)!write(ring.call.get(), &one, sizeof one);
    }
  }

  struct Buffer {
    std::vector<uint8_t> sent;
    std::vector<std::span<uint8_t>> room;
  };
  Buffer buffer_at(const Ring& ring, uint16_t head) {
    const auto* table = reinterpret_cast<const Descriptor*>(
        find(ring.addresses.descriptors, 16 * ring.size, &MemoryRegion::user));
    Buffer buffer;
    for (uint16_t at = head;; at = table[at].next) {
      uint8_t* bytes = find(table[at].address, table[at].length, &MemoryRegion::guest);
      if ((table[at].flags & 2) != 0)
        buffer.room.emplace_back(bytes, table[at].length);
      else
        buffer.sent.insert(buffer.sent.end(), bytes, bytes + table[at].length);
      if ((table[at].flags & 1) == 0) return buffer;
    }
  }

  uint32_t carry_out(const Buffer& buffer) {
    switch (kind) {
      case Kind::kDisk:
        return carry_out_of_disk(buffer);
      case Kind::kNetwork:
        send_back(buffer.sent);
        return 0;
      case Kind::kFolder: {
        const std::array<uint32_t, 4> answer = {16, 0, buffer.sent[8], 0};
        std::memcpy(buffer.room[0].data(), answer.data(), sizeof answer);
        return sizeof answer;
      }
    }
    return 0;
  }

  /// In as many buffers as it takes, all shown at once.
  void send_back(const std::vector<uint8_t>& frame) {
    Ring& ring = rings_[0];
    const auto* available = reinterpret_cast<const uint16_t*>(
        find(ring.addresses.available, 6 + 2 * ring.size, &MemoryRegion::user));
    auto* used = find(ring.addresses.used, 6 + 8 * ring.size, &MemoryRegion::user);
    uint8_t* count = nullptr;
    size_t done = 0;
    for (uint8_t buffers = 1; done < frame.size(); ++buffers) {
      while (__atomic_load_n(&available[1], __ATOMIC_ACQUIRE) == ring.next) {
        if (ending_.load()) return;
        std::this_thread::yield();
      }
      const uint16_t head = available[2 + ring.next++ % ring.size];
      const std::span<uint8_t> room = buffer_at(ring, head).room.at(0);
      const size_t part = std::min(room.size(), frame.size() - done);
      std::copy_n(frame.begin() + static_cast<ptrdiff_t>(done), part, room.begin());
      done += part;
      if (count == nullptr) count = &room[10];
      *count = buffers;
      const std::array<uint32_t, 2> entry = {head, static_cast<uint32_t>(part)};
      std::memcpy(used + 4 + ring.used++ % ring.size * 8, entry.data(), sizeof entry);
    }
    __atomic_store_n(reinterpret_cast<uint16_t*>(used + 2), ring.used, __ATOMIC_RELEASE);
    const uint64_t one = 1;
    (void)!write(ring.call.get(), &one, sizeof one);
  }

  uint32_t carry_out_of_disk(const Buffer& buffer) {
    const auto& [sent, room] = buffer;
    uint32_t type = 0;
    uint64_t sector = 0;
    std::memcpy(&type, sent.data(), sizeof type);
    std::memcpy(&sector, &sent[8], sizeof sector);
    if (type == 1) disk_.write(sector * 512, std::span(sent).subspan(16));
    uint32_t written = 1;
    if (type == 0) {
      size_t at = sector * 512;
      for (size_t i = 0; i + 1 < room.size(); ++i) {
        disk_.read(at, room[i]);
        at += room[i].size();
        written += static_cast<uint32_t>(room[i].size());
      }
    }
    room.back().back() = 0;
    return written;
  }

  const std::string path_;
  FakeDisk& disk_;
  const Manner manner_;
  const backend::Wakeup wakeup_ = *backend::Wakeup::create();
  std::atomic<bool> ending_{false};
  FileDescriptor listener_, connection_;
  std::map<uint32_t, Ring> rings_;
  std::vector<Mapping> memory_;
  std::thread thread_;
};

}  // namespace eidolon::vhost
