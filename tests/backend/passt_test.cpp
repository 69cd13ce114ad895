// passt as a process of the monitor's: it has frames answered, and is started again when it ends.
#include "backend/passt.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "backend/test_card.h"
#include "device/net/ethernet.h"

namespace eidolon::backend {
namespace {

/// "Who has 192.0.2.77?": passt answers for all addresses but the guest's.
Frame arp_request() {
  Frame frame(60);
  const std::vector<uint8_t> head = {
      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 8, 6, 0, 1, 8, 0,   6, 4, 0,
      1,    0x52, 0x54, 0,    0x12, 0x34, 0x56, 192,  0, 2,    78,   0,    0, 0, 0, 0, 0, 192, 0, 2, 77};
  std::ranges::copy(head, frame.begin());
  return frame;
}

/// A program in its place that tells what it was called with, and hands back what it is sent.
class PasstTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(folder);
    std::ofstream(folder + "/passt") << "#!/bin/sh\necho $$ \"$@\" > " << folder << "/called.new\nmv "
                                     << folder << "/called.new " << folder << "/called\nexec cat <&3 >&3\n";
    std::filesystem::permissions(folder + "/passt", std::filesystem::perms::owner_all);
    path_before = std::getenv("PATH");
    setenv("PATH", (folder + ":" + path_before).c_str(), 1);
  }
  void TearDown() override {
    setenv("PATH", path_before.c_str(), 1);
    std::filesystem::remove_all(folder);
  }
  struct Called {
    pid_t pid = -1;
    std::string arguments;
  };
  [[nodiscard]] Called called() const {
    Called called;
    std::ifstream file(folder + "/called");
    file >> called.pid;
    file.ignore(1);
    std::getline(file, called.arguments);
    EXPECT_GT(called.pid, 1);
    return called;
  }
  /// Until the process that is there has had a frame, and handed it back.
  static bool echoes(SwitchLink& link, TestCard& card, uint8_t content) {
    Frame frame = arp_request();
    frame[59] = content;
    card.change([&] { card.to_send.push_back(frame); });
    link.wake();
    return card.wait_for([&] { return !card.received.empty() && card.received.back() == frame; });
  }
  const std::string folder = testing::TempDir() + "passt_test." + std::to_string(getpid());
  std::string path_before;
};

TEST_F(PasstTest, IsStartedWithASocketAndWhatIsPublished) {
  const std::vector<PublishedPort> ports = {*parse_published_port("8080:80"),
                                            *parse_published_port("0.0.0.0:53:53/udp")};
  const auto link = make_passt_link(ports);
  ASSERT_TRUE(link) << link.error().message;
  TestCard card;
  (*link)->plug(&card);
  EXPECT_TRUE(echoes(**link, card, 1));
  EXPECT_EQ(called().arguments,
            "--foreground --fd 3 --tcp-ports 127.0.0.1/8080:80 --udp-ports 0.0.0.0/53:53");
  (*link)->plug(nullptr);
}

TEST_F(PasstTest, IsStartedAgainWhenItEnds) {
  const auto link = make_passt_link({});
  ASSERT_TRUE(link);
  TestCard card;
  (*link)->plug(&card);
  EXPECT_TRUE(echoes(**link, card, 1));
  const pid_t before = called().pid;
  ASSERT_GT(before, 1);
  ASSERT_EQ(kill(before, SIGKILL), 0);
  EXPECT_TRUE(card.wait_for([&] { return card.link == false; }));
  EXPECT_TRUE(card.wait_for([&] { return card.link == true; }));
  EXPECT_TRUE(echoes(**link, card, 2));
  EXPECT_NE(called().pid, before);
  (*link)->plug(nullptr);
}

TEST_F(PasstTest, EndsWhenItIsLetGo) {
  const auto link = make_passt_link({});
  ASSERT_TRUE(link);
  TestCard card;
  (*link)->plug(&card);
  EXPECT_TRUE(echoes(**link, card, 1));
  const pid_t pid = called().pid;
  ASSERT_GT(pid, 1);
  EXPECT_EQ(kill(pid, 0), 0);
  (*link)->let_go();
  EXPECT_NE(kill(pid, 0), 0);
  EXPECT_TRUE((*link)->take_back());
  EXPECT_TRUE(card.wait_for([&] { return card.link == true; }));
  EXPECT_TRUE(echoes(**link, card, 2));
  (*link)->plug(nullptr);
}

TEST_F(PasstTest, ASentenceSaysThatThereIsNoSuchProgram) {
  setenv("PATH", "/nowhere", 1);
  const auto link = make_passt_link({});
  ASSERT_FALSE(link);
  EXPECT_NE(link.error().message.find("Debian's package passt"), std::string::npos);
}

TEST(Passt, AnswersAsItIsInstalled) {
  if (std::system("command -v passt >/dev/null") != 0)
    GTEST_SKIP() << "passt is not installed; install Debian's package";
  const auto link = make_passt_link({});
  ASSERT_TRUE(link);
  TestCard card;
  (*link)->plug(&card);
  card.change([&] { card.to_send.push_back(arp_request()); });
  (*link)->wake();
  EXPECT_TRUE(card.wait_for([&] {
    return !card.received.empty() && card.received.back().size() >= 42 && card.received.back()[13] == 6 &&
           card.received.back()[21] == 2 && card.received.back()[31] == 77;
  }));
  (*link)->plug(nullptr);
}

}  // namespace
}  // namespace eidolon::backend
