// The console device: ports, messages about them, and bytes that wait where they cannot go on.
#include "device/virtio/console.h"

#include "virtio/fixture.h"

namespace eidolon::device::virtio {
namespace {

class FakeChannel final : public Channel {
 public:
  void plug(Port* new_port) override { port = new_port; }
  void wake() override { ++wakes; }
  [[nodiscard]] bool connected() const override { return there; }
  [[nodiscard]] std::optional<TextSize> size() const override { return text; }
  std::string sent(size_t most) const {
    std::string bytes(most, '\0');
    bytes.resize(port->send_some({reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()}));
    return bytes;
  }
  size_t put(std::string_view bytes) const {
    return port->receive({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  }
  Port* port = nullptr;
  bool there = true;
  std::optional<TextSize> text;
  unsigned wakes = 0;
};

class ConsoleTest : public VirtioTest {
 protected:
  static constexpr uint64_t kMultiport = 2;
  enum Event : uint16_t {
    kDeviceReady,
    kPortAdd,
    kPortRemove,
    kPortReady,
    kConsolePort,
    kResize,
    kPortOpen,
    kName
  };

  ConsoleTest() { put(*device); }
  ~ConsoleTest() override { device.reset(); }

  void start(uint64_t features = kMultiport) {
    use_messages(6);
    accept(kFeatureVersion1 | features);
    for (unsigned queue = 0; queue < 6; ++queue) queues.push_back(make_queue(queue));
    driver_ok();
    ASSERT_EQ(status(), 15u);
  }
  /// Buffers of 64 bytes for messages, one after the other.
  void offer_message_buffers(unsigned count) {
    for (unsigned i = 0; i < count; ++i, ++message_buffers) {
      const auto index = static_cast<uint16_t>(message_buffers);
      queues[2].descriptor(index, kMessages + 64u * index, 64, SplitDriver::kWrite);
      queues[2].offer(index);
    }
    notify(2);
  }
  void tell(uint32_t port, uint16_t event, uint16_t value) {
    queues[3].put(kData, port);
    queues[3].put(kData + 4, event);
    queues[3].put(kData + 6, value);
    queues[3].descriptor(0, kData, 8, 0);
    queues[3].offer(0);
    notify(3);
  }
  /// The next message that the device has sent, as "port event value text".
  std::string message() {
    if (messages_read == queues[2].used()) return "none";
    const GuestPhysical at = kMessages + 64u * messages_read;
    std::string text = std::to_string(queues[2].get<uint32_t>(at)) + " " +
                       std::to_string(queues[2].get<uint16_t>(at + 4)) + " " +
                       std::to_string(queues[2].get<uint16_t>(at + 6));
    for (uint32_t i = 8; i < queues[2].used_length(messages_read); ++i)
      text += (i == 8 ? " " : "") + std::string(1, static_cast<char>(queues[2].get<uint8_t>(at + i)));
    ++messages_read;
    return text;
  }
  /// Up to the point where both ports are in use.
  void open_ports() {
    start();
    offer_message_buffers(12);
    tell(0, kDeviceReady, 1);
    for (const uint32_t port : {0u, 1u}) {
      tell(port, kPortReady, 1);
      tell(port, kPortOpen, 1);
    }
    messages_read = queues[2].used();
  }
  void send(unsigned queue, std::string_view text) {
    ASSERT_TRUE(memory->write(kData + 0x1000, text.data(), text.size()));
    queues[queue].descriptor(0, kData + 0x1000, static_cast<uint32_t>(text.size()), 0);
    queues[queue].offer(0);
    notify(queue);
  }
  std::string text_at(GuestPhysical at, size_t length) const {
    std::string text(length, '\0');
    EXPECT_TRUE(memory->read(at, text.data(), length));
    return text;
  }

  static constexpr GuestPhysical kMessages = 0x50000;
  FakeChannel console, agent;
  std::unique_ptr<Console> device =
      std::make_unique<Console>("console", &console, std::vector<Console::Named>{{"org.agent", &agent}});
  std::vector<SplitDriver> queues;
  unsigned message_buffers = 0;
  uint16_t messages_read = 0;
};

TEST_F(ConsoleTest, TellsADriverOfItsPorts) {
  console.text = TextSize{.columns = 'c' + 256 * 'C', .rows = 'r' + 256 * 'R'};
  agent.there = false;
  start();
  EXPECT_EQ(get_bar(kConfig + 4, 4), 2u);
  EXPECT_EQ(get_bar(kConfig, 4), 0x5272'4363u);
  offer_message_buffers(10);
  tell(0, kDeviceReady, 1);
  EXPECT_EQ(message(), "0 1 0");
  EXPECT_EQ(message(), "1 1 0");
  tell(0, kPortReady, 1);
  EXPECT_EQ(message(), "0 4 1");
  EXPECT_EQ(message(), "0 6 1");
  EXPECT_EQ(message(), "0 5 0 rRcC");
  tell(1, kPortReady, 1);
  EXPECT_EQ(message(), "1 7 1 org.agent");
  EXPECT_EQ(message(), "none") << "nobody is at the other end";
  agent.there = true;
  agent.port->channel_changed();
  EXPECT_EQ(message(), "1 6 1");
  console.text->rows = 'q';
  console.port->channel_changed();
  EXPECT_EQ(message(), std::string("0 5 0 q\0cC", 10));
  agent.there = false;
  agent.port->channel_changed();
  EXPECT_EQ(message(), "1 6 0");
}

TEST_F(ConsoleTest, MessagesWaitForBuffersAndDoNotPileUp) {
  start();
  for (int i = 0; i < 1000; ++i) tell(i % 3, i % 2 == 0 ? kDeviceReady : kPortReady, 1);
  EXPECT_EQ(message(), "none");
  offer_message_buffers(16);
  unsigned count = 0;
  while (message() != "none") ++count;
  EXPECT_EQ(count, 6u) << "of each port three";
}

TEST_F(ConsoleTest, NonsenseIsNotHeard) {
  start();
  offer_message_buffers(4);
  tell(2, kPortReady, 1);
  tell(~0u, kPortOpen, 1);
  tell(0, 99, 1);
  queues[3].descriptor(0, kData, 4, 0);
  queues[3].offer(0);
  notify(3);
  EXPECT_EQ(message(), "none");
  EXPECT_EQ(queues[3].used(), 4u);
  EXPECT_EQ(status(), 15u);
}

TEST_F(ConsoleTest, SendsAsMuchAsTheChannelTakes) {
  open_ports();
  agent.wakes = 0;
  send(5, "hello, host");
  EXPECT_EQ(agent.wakes, 1u);
  EXPECT_EQ(queues[5].used(), 0u) << "nobody has taken it";
  EXPECT_EQ(agent.sent(5), "hello");
  EXPECT_EQ(queues[5].used(), 0u);
  EXPECT_EQ(agent.sent(100), ", host");
  EXPECT_EQ(queues[5].used(), 1u);
  EXPECT_EQ(agent.sent(100), "");
  EXPECT_EQ(console.sent(100), "");
}

TEST_F(ConsoleTest, ReceivesAsMuchAsThereAreBuffersFor) {
  open_ports();
  EXPECT_EQ(console.put("no room"), 0u);
  queues[0].descriptor(0, kData, 4, SplitDriver::kWrite);
  queues[0].offer(0);
  console.wakes = 0;
  notify(0);
  EXPECT_EQ(console.wakes, 1u);
  EXPECT_EQ(console.put("some room"), 4u);
  EXPECT_EQ(text_at(kData, 4), "some");
  EXPECT_EQ(queues[0].used_length(0), 4u);
}

TEST_F(ConsoleTest, APortThatNobodyHasOpenTakesNothing) {
  open_ports();
  queues[4].descriptor(0, kData, 64, SplitDriver::kWrite);
  queues[4].offer(0);
  tell(1, kPortOpen, 0);
  EXPECT_EQ(agent.put("x"), 0u);
  tell(1, kPortOpen, 1);
  EXPECT_EQ(agent.put("x"), 1u);
}

TEST_F(ConsoleTest, ADriverOfOnePortHasTheConsole) {
  start(0);
  send(1, "text");
  EXPECT_EQ(console.sent(100), "text");
  queues[0].descriptor(0, kData, 64, SplitDriver::kWrite);
  queues[0].offer(0);
  EXPECT_EQ(console.put("keys"), 4u);
}

TEST_F(ConsoleTest, BuffersOutsideMemoryAreGivenBack) {
  open_ports();
  queues[1].descriptor(0, 0xfffff000, 64, 0);
  queues[1].offer(0);
  EXPECT_EQ(console.sent(100), "");
  EXPECT_EQ(queues[1].used(), 1u);
  queues[0].descriptor(0, 0xfffff000, 64, SplitDriver::kWrite);
  queues[0].offer(0);
  EXPECT_EQ(console.put("x"), 0u);
  EXPECT_EQ(queues[0].used_length(0), 0u);
}

TEST_F(ConsoleTest, GoesOnFromItsState) {
  open_ports();
  send(5, "hello, host");
  EXPECT_EQ(agent.sent(5), "hello");
  StateWriter writer;
  transport->save(writer);
  set_bar(0x14, 1, 0);
  EXPECT_EQ(agent.sent(100), "");
  agent.there = false;
  StateReader reader(writer.bytes());
  transport->load(reader);
  ASSERT_FALSE(reader.failed());
  EXPECT_EQ(agent.sent(100), ", host");
  EXPECT_EQ(message(), "1 6 0") << "the other end has changed meanwhile";
  queues[4].descriptor(0, kData, 64, SplitDriver::kWrite);
  queues[4].offer(0);
  EXPECT_EQ(agent.put("x"), 1u) << "the port is open";
}

TEST_F(ConsoleTest, WhileItIsHeldNothingMoves) {
  open_ports();
  send(5, "text");
  ASSERT_TRUE(device->hold(std::chrono::milliseconds(0)));
  EXPECT_EQ(agent.sent(100), "");
  agent.there = false;
  agent.port->channel_changed();
  EXPECT_EQ(message(), "none");
  device->release();
  EXPECT_EQ(agent.sent(100), "text");
  EXPECT_EQ(message(), "1 6 0");
}

}  // namespace
}  // namespace eidolon::device::virtio
