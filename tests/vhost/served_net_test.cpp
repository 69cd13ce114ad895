// A network card that another process serves, which here sends back what it gets.
#include <optional>

#include "device/virtio/net_features.h"
#include "vhost/fake_back_end.h"
#include "vhost/fixture.h"
#include "vhost/net.h"
#include "virtio/split_driver.h"

namespace eidolon::vhost {
namespace {

namespace feature = device::virtio::net_feature;
using device::virtio::SplitDriver;
using memory::GuestPhysical;

class ServedNetTest : public VhostTest {
 protected:
  static constexpr GuestPhysical kSent = 0x60000, kReceived = 0x61000;

  ~ServedNetTest() override { card.reset(); }  // before what it uses

  void serve() {
    back_end.emplace(socket, nothing);
    back_end->kind = FakeBackEnd::Kind::kNetwork;
    back_end->features = FakeBackEnd::kVersion1 | kFeatureProtocol | feature::kMergeable | feature::kSum |
                         feature::kPairs | feature::kControl;
    back_end->queues = 1;  // pairs
    back_end->start();
  }
  void make() {
    auto made = make_net("net", socket, device::net::kFirstAddress, *memory);
    ASSERT_TRUE(made) << made.error().message;
    card = *std::move(made);
    card->connect(dma, interrupts);
  }
  void start() {
    receive.emplace(*memory, kRings, uint16_t{8});
    transmit.emplace(*memory, kRings + 0x4000, uint16_t{8});
    VhostTest::start(
        *card, device::virtio::kFeatureVersion1 | feature::kMergeable | feature::kAddress | feature::kStatus,
        {receive->place(), transmit->place()});
  }
  void offer_room(uint16_t buffers) {
    for (uint16_t i = 0; i < buffers; ++i) {
      receive->descriptor(i, kReceived + 0x100u * i, 64, SplitDriver::kWrite);
      receive->offer(i);
    }
    card->notify(0);
  }
  void send(uint8_t fill, uint32_t length) {
    const std::vector<uint8_t> frame(length, fill);
    ASSERT_TRUE(memory->write(kSent, frame.data(), frame.size()));
    transmit->descriptor(0, kSent, length, 0);
    transmit->offer(0);
    card->notify(1);
  }

  FakeDisk nothing;
  std::optional<FakeBackEnd> back_end;
  std::optional<SplitDriver> receive, transmit;
  std::unique_ptr<device::virtio::Device> card;
};

TEST_F(ServedNetTest, FramesPassBothWaysAndAreShownAsAWhole) {
  serve();
  make();
  EXPECT_EQ(card->shape().features,
            feature::kMergeable | feature::kSum | feature::kAddress | feature::kStatus);
  EXPECT_EQ(card->read_config(0, 8), 0x0001'5634'1200'5452u);
  start();
  offer_room(4);
  std::atomic<unsigned> seen{0};
  memory->set_foreign_write_waker([&] { seen = std::max<unsigned>(seen, receive->used()); });
  memory->mark_code(kReceived);
  send(0x5a, 150);
  ASSERT_TRUE(wait_until([this] { return receive->used() == 3 && transmit->used() == 1; }));
  EXPECT_EQ(seen, 0u) << "in between";
  EXPECT_EQ(receive->get<uint8_t>(kReceived + 10), 3u);
  EXPECT_EQ(receive->used_length(2), 150u - 128);
  EXPECT_EQ(receive->get<uint8_t>(kReceived + 0x200 + 21), 0x5a);
  EXPECT_EQ(back_end->accepted, FakeBackEnd::kVersion1 | kFeatureProtocol | feature::kMergeable)
      << "the address and the link are ours";
  card->reset();
  memory->set_foreign_write_waker(nullptr);
}

TEST_F(ServedNetTest, AResetTakesBackTheRoomForFrames) {
  serve();
  make();
  for (unsigned round = 1; round <= 3; ++round) {
    start();
    offer_room(4);
    send(1, 60);
    ASSERT_TRUE(wait_until([this] { return receive->used() == 1; }));
    card->set_status(0);
    EXPECT_EQ(back_end->stops, 2 * round) << "both rings";
  }
}

TEST_F(ServedNetTest, TheLinkIsDownWhileThereIsNoBackEnd) {
  serve();
  make();
  start();
  offer_room(2);
  send(1, 60);
  ASSERT_TRUE(wait_until([this] { return receive->used() == 1; }));
  back_end->die();
  ASSERT_TRUE(wait_until([this] { return card->read_config(6, 2) == 0; }));
  EXPECT_EQ(interrupts.config, 1u);
  serve();
  ASSERT_TRUE(wait_until([this] { return card->read_config(6, 2) == 1; }));
  EXPECT_EQ(interrupts.config, 2u);
  send(2, 60);
  ASSERT_TRUE(wait_until([this] { return receive->used() == 2; })) << "into the room that was left";
  EXPECT_EQ(receive->get<uint8_t>(kReceived + 0x100 + 20), 2u);
}

}  // namespace
}  // namespace eidolon::vhost
