// Every device with every form of ring: buffers come back over many rounds, with an interrupt where one is
// wanted, and what the device does is the same.
#include "device/storage/scsi_disk.h"
#include "device/virtio/balloon.h"
#include "device/virtio/block.h"
#include "device/virtio/console.h"
#include "device/virtio/fs.h"
#include "device/virtio/net.h"
#include "device/virtio/rng.h"
#include "device/virtio/scsi.h"
#include "device/virtio/vsock.h"
#include "net/fake_link.h"
#include "storage/memory_medium.h"
#include "virtio/any_driver.h"
#include "virtio/fixture.h"

namespace eidolon::device::virtio {
namespace {

class Wire final : public Channel {
 public:
  void plug(Port* new_port) override { port = new_port; }
  void wake() override {}
  [[nodiscard]] bool connected() const override { return true; }
  Port* port = nullptr;
};

class Sockets final : public VsockWire {
 public:
  void plug(VsockGuest* new_guest) override { guest = new_guest; }
  void wake() override {}
  VsockGuest* guest = nullptr;
};

/// Answers with what it was asked.
class Echo final : public FileServer {
 public:
  uint32_t serve(FileMessage& message) override {
    return message.write(0, message.copied()) ? static_cast<uint32_t>(message.copied().size()) : 0;
  }
  void forget() override {}
  [[nodiscard]] bool in_use() const override { return false; }
};

/// What a device stands on, the device, and one kind of buffer for it.
struct Subject {
  virtual ~Subject() = default;
  virtual Device& device() = 0;
  [[nodiscard]] virtual unsigned queue() const = 0;
  [[nodiscard]] virtual unsigned queues() const { return queue() + 1; }
  /// Writes what the buffer has to say; its pieces.
  virtual std::vector<Piece> prepare(AnyDriver& driver, unsigned round) = 0;
  /// By the host's side, if it is this that takes the buffer.
  virtual void pull() {}
  virtual void expect_done(AnyDriver& driver, unsigned round) = 0;
  static constexpr GuestPhysical kOut = 0x60000, kIn = 0x61000, kStatus = 0x62000;
};

template <typename D>
struct Holder : Subject {
  std::unique_ptr<D> held;
  Device& device() override { return *held; }
};

struct BlockSubject : Holder<Block> {
  storage::MemoryMedium medium{1 << 16};
  ~BlockSubject() override { held.reset(); }  // before what it uses
  BlockSubject() { held = std::make_unique<Block>("blk", medium, "serial"); }
  [[nodiscard]] unsigned queue() const override { return 0; }
  std::vector<Piece> prepare(AnyDriver& driver, unsigned round) override {
    medium.at_once = round % 2 != 0;  // by the thread or by who notifies
    medium.bytes[512] = static_cast<uint8_t>(round);
    driver.put<uint64_t>(kOut, 0);  // read
    driver.put<uint64_t>(kOut + 8, 1);
    return {{kOut, 16, false}, {kIn, 512, true}, {kStatus, 1, true}};
  }
  void expect_done(AnyDriver& driver, unsigned round) override {
    EXPECT_EQ(driver.written(), 513u);
    EXPECT_EQ(driver.get<uint8_t>(kIn), static_cast<uint8_t>(round));
  }
};

struct ScsiSubject : Holder<Scsi> {
  storage::MemoryMedium medium{1 << 16};
  ~ScsiSubject() override { held.reset(); }  // before what it uses
  ScsiSubject() {
    held = std::make_unique<Scsi>("scsi", 1);
    held->attach(std::make_unique<storage::scsi::Disk>(medium, "serial"));
  }
  [[nodiscard]] unsigned queue() const override { return 2; }
  std::vector<Piece> prepare(AnyDriver& driver, unsigned /*round*/) override {
    driver.put<uint64_t>(kOut, 1);
    driver.put<uint8_t>(kOut + 19, 0x12);  // INQUIRY
    driver.put<uint8_t>(kOut + 19 + 4, 36);
    driver.put<uint8_t>(kIn + 8, 0);
    return {{kOut, 51, false}, {kStatus, 108, true}, {kIn, 36, true}};
  }
  void expect_done(AnyDriver& driver, unsigned /*round*/) override {
    EXPECT_EQ(driver.written(), 108u + 36);
    EXPECT_EQ(driver.get<uint8_t>(kIn + 8), 'E');
  }
};

struct RngSubject : Holder<Rng> {
  RngSubject() { held = std::make_unique<Rng>("rng"); }
  [[nodiscard]] unsigned queue() const override { return 0; }
  std::vector<Piece> prepare(AnyDriver& driver, unsigned /*round*/) override {
    driver.put<uint64_t>(kIn, 0);
    driver.put<uint64_t>(kIn + 8, 0);
    return {{kIn, 8, true}, {kIn + 8, 8, true}};
  }
  void expect_done(AnyDriver& driver, unsigned /*round*/) override {
    EXPECT_EQ(driver.written(), 16u);
    EXPECT_NE(driver.get<uint64_t>(kIn), driver.get<uint64_t>(kIn + 8));
  }
};

struct BalloonSubject : Holder<Balloon> {
  BalloonSubject() { held = std::make_unique<Balloon>("balloon"); }
  [[nodiscard]] unsigned queue() const override { return 0; }
  std::vector<Piece> prepare(AnyDriver& driver, unsigned round) override {
    driver.put<uint32_t>(kOut, 0x40);
    driver.put<uint64_t>(0x40000, round + 1);
    return {{kOut, 4, false}};
  }
  void expect_done(AnyDriver& driver, unsigned /*round*/) override {
    EXPECT_EQ(driver.get<uint64_t>(0x40000), 0u) << "a fresh page";
  }
};

struct NetSubject : Holder<Net> {
  net::FakeLink cable;
  std::vector<uint8_t> frame;
  ~NetSubject() override { held.reset(); }  // before what it uses
  NetSubject() { held = std::make_unique<Net>("net", cable, net::kFirstAddress, 1); }
  [[nodiscard]] unsigned queue() const override { return 1; }
  std::vector<Piece> prepare(AnyDriver& driver, unsigned round) override {
    driver.put<uint64_t>(kOut, 0);
    driver.put<uint64_t>(kOut + 8, 0);
    driver.put<uint32_t>(kOut + 12, round);
    frame.clear();
    return {{kOut, 12, false}, {kOut + 12, 60, false}};
  }
  void pull() override { (void)cable.card->next_frame(frame); }
  void expect_done(AnyDriver& /*driver*/, unsigned round) override {
    ASSERT_EQ(frame.size(), 60u);
    EXPECT_EQ(frame[0], static_cast<uint8_t>(round));
  }
};

/// Frames for the guest.
struct NetReceiveSubject : NetSubject {
  uint8_t next = 0;
  [[nodiscard]] unsigned queue() const override { return 0; }
  [[nodiscard]] unsigned queues() const override { return 2; }
  std::vector<Piece> prepare(AnyDriver& /*driver*/, unsigned round) override {
    next = static_cast<uint8_t>(round);
    return {{kIn, 100, true}, {kIn + 100, 1900, true}};
  }
  void pull() override { EXPECT_TRUE(cable.card->receive(std::vector<uint8_t>(200, next))); }
  void expect_done(AnyDriver& driver, unsigned round) override {
    EXPECT_EQ(driver.written(), 212u);
    EXPECT_EQ(driver.get<uint8_t>(kIn + 12), static_cast<uint8_t>(round));
    EXPECT_EQ(driver.get<uint8_t>(kIn + 211), static_cast<uint8_t>(round));
  }
};

struct ConsoleSubject : Holder<Console> {
  Wire wire;
  std::string sent;
  ~ConsoleSubject() override { held.reset(); }  // before what it uses
  ConsoleSubject() { held = std::make_unique<Console>("console", &wire, std::vector<Console::Named>()); }
  [[nodiscard]] unsigned queue() const override { return 1; }
  std::vector<Piece> prepare(AnyDriver& driver, unsigned round) override {
    driver.put<uint8_t>(kOut, static_cast<uint8_t>('a' + round % 26));
    sent.clear();
    return {{kOut, 1, false}, {kOut, 1, false}};
  }
  void pull() override {
    std::array<uint8_t, 16> bytes{};
    sent.append(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(wire.port->send_some(bytes)));
  }
  void expect_done(AnyDriver& /*driver*/, unsigned round) override {
    pull();
    EXPECT_EQ(sent, std::string(2, static_cast<char>('a' + round % 26)));
  }
};

struct VsockSubject : Holder<Vsock> {
  Sockets sockets;
  VsockPacket packet;
  ~VsockSubject() override { held.reset(); }  // before what it uses
  VsockSubject() { held = std::make_unique<Vsock>("vsock", sockets, 3); }
  [[nodiscard]] unsigned queue() const override { return 1; }
  [[nodiscard]] unsigned queues() const override { return 3; }
  std::vector<Piece> prepare(AnyDriver& driver, unsigned round) override {
    driver.put(kOut, VsockHeader{.source_cid = 3,
                                 .destination_cid = kVsockHost,
                                 .source_port = round,
                                 .length = 4,
                                 .type = kVsockStream,
                                 .operation = VsockOperation::kData});
    driver.put<uint32_t>(kOut + 0x100, round);
    return {{kOut, sizeof(VsockHeader), false}, {kOut + 0x100, 4, false}};
  }
  void pull() override { EXPECT_TRUE(sockets.guest->next_packet(packet)); }
  void expect_done(AnyDriver& /*driver*/, unsigned round) override {
    EXPECT_EQ(packet.header.source_port, round);
    ASSERT_EQ(packet.payload.size(), 4u);
    EXPECT_EQ(packet.payload[0], static_cast<uint8_t>(round));
  }
};

struct FsSubject : Holder<Fs> {
  Echo echo;
  ~FsSubject() override { held.reset(); }  // before what it uses
  FsSubject() { held = std::make_unique<Fs>("fs", echo, "tag"); }
  [[nodiscard]] unsigned queue() const override { return 1; }
  std::vector<Piece> prepare(AnyDriver& driver, unsigned round) override {
    driver.put<uint32_t>(kOut, round);
    return {{kOut, 40, false}, {kIn, 8, true}, {kIn + 8, 100, true}};
  }
  void expect_done(AnyDriver& driver, unsigned round) override {
    EXPECT_EQ(driver.written(), 40u);
    EXPECT_EQ(driver.get<uint32_t>(kIn), round);
  }
};

template <typename S>
std::unique_ptr<Subject> make() {
  return std::make_unique<S>();
}

struct Case {
  const char* name;
  std::unique_ptr<Subject> (*make)();
};
constexpr Case kCases[] = {{"blk", make<BlockSubject>},
                           {"scsi", make<ScsiSubject>},
                           {"rng", make<RngSubject>},
                           {"balloon", make<BalloonSubject>},
                           {"net_transmit", make<NetSubject>},
                           {"net_receive", make<NetReceiveSubject>},
                           {"console", make<ConsoleSubject>},
                           {"vsock", make<VsockSubject>},
                           {"fs", make<FsSubject>}};

class RingFormsTest : public VirtioTest, public testing::WithParamInterface<std::tuple<Case, unsigned>> {
 protected:
  RingFormsTest() : subject(std::get<0>(GetParam()).make()) {}
  ~RingFormsTest() override { subject.reset(); }  // before the transport

  std::unique_ptr<Subject> subject;
};

TEST_P(RingFormsTest, BuffersGoRound) {
  constexpr uint16_t kSize = 8;
  const unsigned bits = std::get<1>(GetParam());
  const RingForm form = {
      .packed = (bits & 1) != 0, .indirect = (bits & 2) != 0, .event_index = (bits & 4) != 0};
  put(subject->device());
  use_messages(subject->queues());
  ASSERT_EQ(offered() & form.features(), form.features());
  accept(form.features());
  std::vector<AnyDriver> drivers;
  for (unsigned i = 0; i < subject->queues(); ++i) {
    drivers.emplace_back(*memory, kRings + i * 0x4000, kSize, form);
    enable_queue(i, drivers.back().place());
  }
  driver_ok();
  ASSERT_EQ(status(), 15u);
  AnyDriver& driver = drivers[subject->queue()];
  for (unsigned round = 0; round < 5 * kSize; ++round) {
    SCOPED_TRACE(round);
    const bool interrupt = round % 3 != 0;
    driver.offer(subject->prepare(driver, round), interrupt);
    notify(subject->queue());
    subject->pull();
    ASSERT_TRUE(wait_until([&] { return driver.returned(); }));
    subject->expect_done(driver, round);
    EXPECT_EQ(status(), 15u);  // and with the device's lock: whether to interrupt has been decided
    ASSERT_EQ(local.interrupt_pending(), interrupt);
    if (!interrupt) continue;
    EXPECT_EQ(local.acknowledge(), kQueueVector + subject->queue());
    local.io_write(0xb0, 4, 0);  // the end of the interrupt
  }
}

std::string name_of(const testing::TestParamInfo<std::tuple<Case, unsigned>>& info) {
  const unsigned bits = std::get<1>(info.param);
  return std::string(std::get<0>(info.param).name) + ((bits & 1) != 0 ? "_packed" : "_split") +
         ((bits & 2) != 0 ? "_indirect" : "") + ((bits & 4) != 0 ? "_events" : "");
}
INSTANTIATE_TEST_SUITE_P(All, RingFormsTest,
                         testing::Combine(testing::ValuesIn(kCases), testing::Range(0u, 8u)), name_of);

}  // namespace
}  // namespace eidolon::device::virtio
