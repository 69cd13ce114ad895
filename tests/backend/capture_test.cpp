// The file that a capture writes, byte by byte, and what becomes of it when the host's disk is full.
#include "backend/capture.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>

#include "backend/test_card.h"

namespace eidolon::backend {
namespace {

class CaptureTest : public testing::Test {
 protected:
  ~CaptureTest() override { unlink(path.c_str()); }
  Frame content() const {
    std::ifstream file(path, std::ios::binary);
    return Frame(std::istreambuf_iterator<char>(file), {});
  }
  static uint32_t word(const Frame& bytes, size_t at) {
    uint32_t value = 0;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
  }
  CaptureFile create() {
    auto file = CaptureFile::create(path, [this](const std::string& sentence) { said.push_back(sentence); });
    EXPECT_TRUE(file) << file.error().message;
    return std::move(*file);
  }
  const std::string path = testing::TempDir() + "capture_test." + std::to_string(getpid()) + ".pcap";
  std::vector<std::string> said;
};

/// A network that the test drives by hand.
struct HandNetwork final : device::net::Link {
  void plug(device::net::Card* new_card) override { card = new_card; }
  void wake() override { ++wakes; }
  device::net::Card* card = nullptr;
  unsigned wakes = 0;
};

TEST_F(CaptureTest, HasBothDirectionsAsTheyPass) {
  const time_t before = time(nullptr);
  HandNetwork network;
  Capture capture(network, create());
  ASSERT_EQ(content().size(), 24u);
  EXPECT_EQ(word(content(), 0), 0xa1b2c3d4u);
  EXPECT_EQ(word(content(), 4), 0x00040002u);
  EXPECT_EQ(word(content(), 20), 1u) << "Ethernet";
  TestCard card;
  capture.plug(&card);
  card.to_send.push_back(Frame(60, 0x11));
  Frame frame;
  ASSERT_TRUE(network.card->next_frame(frame));
  EXPECT_FALSE(network.card->next_frame(frame));
  EXPECT_TRUE(network.card->receive(Frame(100, 0x22)));
  card.room = false;
  EXPECT_FALSE(network.card->receive(Frame(100, 0x33)));
  network.card->set_link(false);
  EXPECT_EQ(card.link, false);
  capture.wake();
  EXPECT_EQ(network.wakes, 1u);
  // In the file while it is open, and without what the card has refused.
  const Frame bytes = content();
  ASSERT_EQ(bytes.size(), 24u + 16 + 60 + 16 + 100);
  EXPECT_GE(word(bytes, 24), static_cast<uint32_t>(before));
  EXPECT_LT(word(bytes, 28), 1'000'000u);
  EXPECT_EQ(word(bytes, 32), 60u);
  EXPECT_EQ(word(bytes, 36), 60u);
  EXPECT_EQ(bytes[40], 0x11);
  EXPECT_EQ(word(bytes, 100 + 8), 100u);
  EXPECT_EQ(bytes.back(), 0x22);
  capture.plug(nullptr);
  EXPECT_EQ(network.card, nullptr);
}

TEST_F(CaptureTest, AFullDiskEndsItWithASentenceAndAWholeFile) {
  CaptureFile file = create();
  rlimit old{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  const rlimit small{.rlim_cur = 24 + 16 + 60 + 30, .rlim_max = old.rlim_max};
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  file.add(Frame(60));
  file.add(Frame(60));
  file.add(Frame(60));
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(content().size(), 24u + 16 + 60) << "what has no room as a whole is not there";
  ASSERT_EQ(said.size(), 1u);
  EXPECT_NE(said[0].find(path), std::string::npos);
  file.add(Frame(60));
  EXPECT_EQ(content().size(), 24u + 16 + 60) << "it has ended";
}

TEST_F(CaptureTest, APlaceThatCannotBeWrittenIsRefused) {
  const auto file = CaptureFile::create("/nowhere/at/all.pcap", [](const std::string&) {});
  ASSERT_FALSE(file);
  EXPECT_NE(file.error().message.find("/nowhere/at/all.pcap"), std::string::npos);
}

}  // namespace
}  // namespace eidolon::backend
