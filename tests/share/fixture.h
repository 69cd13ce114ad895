// A shared folder behind its device, and a driver that sends FUSE messages by the queue, as a guest's kernel
// does, or as none would.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "backend/share/share.h"
#include "device/virtio/fs.h"
#include "virtio/fixture.h"

// The kernel's structures have many members, of which a request means a few; the others are zero.
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

namespace eidolon::backend::share {

using Bytes = std::vector<uint8_t>;

/// Structures as they are, texts with a zero behind them.
template <typename... T>
Bytes message(const T&... parts) {
  Bytes bytes;
  const auto add = [&bytes](const auto& part) {
    if constexpr (std::is_convertible_v<decltype(part), std::string_view>) {
      const std::string_view text(part);
      bytes.insert(bytes.end(), text.begin(), text.end());
      bytes.push_back(0);
    } else {
      const auto* begin = reinterpret_cast<const uint8_t*>(&part);
      bytes.insert(bytes.end(), begin, begin + sizeof part);
    }
  };
  (add(parts), ...);
  return bytes;
}

struct Reply {
  int error = 0;  ///< of errno; 0: none
  Bytes body;
  template <typename T>
  [[nodiscard]] T as(size_t offset = 0) const {
    T value{};
    EXPECT_LE(offset + sizeof value, body.size());
    if (offset + sizeof value <= body.size()) std::memcpy(&value, body.data() + offset, sizeof value);
    return value;
  }
  [[nodiscard]] std::string text() const { return {body.begin(), body.end()}; }
};

class ShareTest : public device::virtio::VirtioTest {
 protected:
  static constexpr uint64_t kRoot = FUSE_ROOT_ID;
  static constexpr device::GuestPhysical kRequest = 0x60000, kReply = 0x90000;
  static constexpr uint32_t kRoom = 0x20000;

  explicit ShareTest(bool read_only = false, const Limits& limits = {})
      : outside(make_directory()), folder(outside + "/shared"), made(make(folder, read_only, limits)) {
    put(*device);
    use_messages(2);
    accept(device::virtio::kFeatureVersion1);
    queues.push_back(make_queue(0));
    queues.push_back(make_queue(1));
    driver_ok();
    EXPECT_EQ(status(), 15u);
  }
  ~ShareTest() override {
    device.reset();
    std::filesystem::remove_all(outside);
  }
  static std::string make_directory() {
    std::string name = testing::TempDir() + "eidolon-share-XXXXXX";
    return mkdtemp(name.data());
  }
  static std::unique_ptr<Share> make(const std::string& folder, bool read_only, const Limits& limits) {
    std::filesystem::create_directory(folder);
    return *Share::open(folder, read_only, limits);
  }

  /// Sends bytes as they are; what comes back, header and all.
  Bytes send(const Bytes& bytes, uint32_t room = kRoom, unsigned queue = 1) {
    device::virtio::SplitDriver& driver = queues[queue];
    EXPECT_TRUE(memory->write(kRequest, bytes.data(), bytes.size()));
    driver.descriptor(0, kRequest, static_cast<uint32_t>(bytes.size()), room == 0 ? 0 : 1, 1);
    driver.descriptor(1, kReply, room, 2);
    const uint16_t before = driver.used();
    driver.offer(0);
    notify(queue);
    EXPECT_TRUE(wait_until([&] { return driver.used() != before; }));
    Bytes reply(std::min(driver.used_length(before), room));
    if (!reply.empty()) {
      EXPECT_TRUE(memory->read(kReply, reply.data(), reply.size()));
    }
    return reply;
  }
  Reply call(uint32_t opcode, uint64_t node, const Bytes& arguments = {}, uint32_t room = kRoom) {
    const fuse_in_header header = {.len = static_cast<uint32_t>(sizeof(fuse_in_header) + arguments.size()),
                                   .opcode = opcode,
                                   .unique = ++unique,
                                   .nodeid = node,
                                   .uid = 1234,
                                   .gid = 4321};
    Bytes bytes = message(header);
    bytes.insert(bytes.end(), arguments.begin(), arguments.end());
    const Bytes all = send(bytes, room);
    fuse_out_header reply{};
    if (all.size() < sizeof reply) {
      ADD_FAILURE() << "no answer to " << opcode;
      return {.error = -1, .body = {}};
    }
    std::memcpy(&reply, all.data(), sizeof reply);
    EXPECT_EQ(reply.unique, unique);
    EXPECT_EQ(reply.len, all.size());
    return {.error = -reply.error, .body = {all.begin() + sizeof reply, all.end()}};
  }
  void mount() {
    const Reply reply = call(FUSE_INIT, 0, message(fuse_init_in{.major = 7, .minor = 38, .flags = ~0u}));
    ASSERT_EQ(reply.error, 0);
    ASSERT_EQ(reply.as<fuse_init_out>().major, 7u);
  }
  /// 0: not found, whatever was answered.
  uint64_t lookup(const std::string& name, uint64_t parent = kRoot) {
    const Reply reply = call(FUSE_LOOKUP, parent, message(name));
    return reply.error == 0 ? reply.as<fuse_entry_out>().nodeid : 0;
  }
  uint64_t open(uint64_t node, uint32_t flags) {
    const Reply reply = call(FUSE_OPEN, node, message(fuse_open_in{.flags = flags}));
    EXPECT_EQ(reply.error, 0);
    return reply.error == 0 ? reply.as<fuse_open_out>().fh : 0;
  }
  Reply write(uint64_t handle, uint64_t offset, std::string_view text) {
    Bytes bytes =
        message(fuse_write_in{.fh = handle, .offset = offset, .size = static_cast<uint32_t>(text.size())});
    bytes.insert(bytes.end(), text.begin(), text.end());
    return call(FUSE_WRITE, kRoot, bytes);
  }
  Reply read(uint64_t handle, uint64_t offset, uint32_t size) {
    return call(FUSE_READ, kRoot, message(fuse_read_in{.fh = handle, .offset = offset, .size = size}));
  }
  using VirtioTest::read;

  void put_file(const std::string& name, std::string_view text) const {
    std::ofstream(folder + "/" + name, std::ios::binary) << text;
  }
  [[nodiscard]] std::string file(const std::string& name) const {
    std::ifstream stream(folder + "/" + name, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  [[nodiscard]] bool exists(const std::string& name) const {
    return std::filesystem::exists(std::filesystem::symlink_status(folder + "/" + name));
  }

  const std::string outside, folder;  ///< the second is in the first
  std::unique_ptr<Share> made;
  std::unique_ptr<device::virtio::Fs> device = std::make_unique<device::virtio::Fs>("fs", *made, "a folder");
  std::vector<device::virtio::SplitDriver> queues;
  uint64_t unique = 100;
};

}  // namespace eidolon::backend::share
