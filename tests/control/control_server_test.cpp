// Requests that make no sense, and the names of keys. What sensible requests do is in
// tests/boot/os/screen_test.cpp.
#include "control/control_server.h"

#include <gtest/gtest.h>
#include <linux/input-event-codes.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "backend/key_names.h"
#include "backend/line_client.h"
#include "control/base64.h"
#include "control/socket_path.h"

namespace eidolon::control {
namespace {

using backend::parse_chord;
using backend::type_text;
using Json = nlohmann::json;

std::string error_of(ControlServer& server, std::string_view request) {
  const Json answer = Json::parse(server.answer(request));
  EXPECT_FALSE(answer.at("ok").get<bool>()) << request;
  return answer.value("error", "");
}

TEST(ControlServer, AnswersNonsenseWithASentence) {
  ControlServer server("test");
  for (const char* request :
       {"", "{", "[]", "null", "7", "{}", R"({"command": 7})", "\xff\xfe", "[[[[[[[["}) {
    EXPECT_NE(error_of(server, request).find("\"command\""), std::string::npos) << request;
  }
  EXPECT_NE(error_of(server, R"({"command": "status"})").find("starting or ending"), std::string::npos);
}

class Socket : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/eidolon-control-XXXXXX";
    directory = mkdtemp(pattern.data());
    setenv("XDG_RUNTIME_DIR", directory.c_str(), 1);
  }
  void TearDown() override { std::filesystem::remove_all(directory); }
  std::string directory;
};

TEST_F(Socket, IsPrivateAndServesManyRequests) {
  ControlServer server("one");
  const std::string path = *socket_path("one");
  ASSERT_TRUE(server.listen(path));
  struct stat found {};
  ASSERT_EQ(stat(path.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600u);
  ASSERT_EQ(stat((directory + "/eidolon").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0700u);
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(backend::ask_line(path, "{}", 10));
  EXPECT_EQ(*running_machines(), std::vector<std::string>{"one"});
  EXPECT_EQ(*find_machine(""), path);
}

TEST_F(Socket, IsNotTakenFromAMachineButFromADeadOne) {
  const std::string path = *socket_path("two");
  {
    ControlServer first("two");
    ASSERT_TRUE(first.listen(path));
    ControlServer second("two");
    EXPECT_FALSE(second.listen(path));
    EXPECT_TRUE(backend::is_served(path));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  const FileDescriptor dead(socket(AF_UNIX, SOCK_STREAM, 0));
  const sockaddr_un address = *backend::socket_address(path);
  ASSERT_EQ(bind(dead.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_TRUE(running_machines()->empty());
  EXPECT_FALSE(std::filesystem::exists(path)) << "cleaned up";
  ControlServer third("two");
  EXPECT_TRUE(third.listen(path));
}

TEST_F(Socket, AFileOfTheUsersIsLeftAlone) {
  const std::string path = directory + "/precious";
  FILE* file = fopen(path.c_str(), "w");
  fclose(file);
  ControlServer server("three");
  EXPECT_FALSE(server.listen(path));
  EXPECT_TRUE(std::filesystem::is_regular_file(path));
}

TEST_F(Socket, AClientThatSendsTooMuchIsDropped) {
  ControlServer server("four");
  const std::string path = *socket_path("four");
  ASSERT_TRUE(server.listen(path));
  const std::string endless(backend::LineServer::kLongestLine + 100'000, 'x');
  EXPECT_FALSE(backend::ask_line(path, endless, 10));
  EXPECT_TRUE(backend::ask_line(path, "{}", 10)) << "others are still served";
}

TEST(SocketPath, NamesAreCheckedBeforeTheyBecomePaths) {
  EXPECT_TRUE(check_machine_name("web-1.test_2"));
  for (const char* name : {"", ".", "..", "../x", "a/b", ".hidden", "a b", "\n"})
    EXPECT_FALSE(check_machine_name(name));
  EXPECT_FALSE(check_machine_name(std::string(65, 'a')));
}

std::vector<std::pair<int, bool>> chord(std::string_view text) {
  std::vector<std::pair<int, bool>> result;
  const auto events = *parse_chord(text);
  for (const auto& event : events) result.emplace_back(event.code, event.down);
  return result;
}

TEST(KeyNames, ChordsArePressedInOrderAndReleasedInTheOther) {
  using Expected = std::vector<std::pair<int, bool>>;
  EXPECT_EQ(chord("Ctrl-Alt-Delete"), (Expected{{KEY_LEFTCTRL, true},
                                                {KEY_LEFTALT, true},
                                                {KEY_DELETE, true},
                                                {KEY_DELETE, false},
                                                {KEY_LEFTALT, false},
                                                {KEY_LEFTCTRL, false}}));
  EXPECT_EQ(chord("ctrl--")[1].first, KEY_MINUS);
  EXPECT_EQ(chord("shift+5")[1].first, KEY_5);
  for (const char* wrong : {"", "ctrl-", "hyper-a", "A-", "a-b-c-d-e-f-g-h-i", "\xc3\xa4"})
    EXPECT_FALSE(parse_chord(wrong)) << wrong;
}

TEST(KeyNames, TextIsTypedOnAUsKeyboard) {
  const auto typed = *type_text("a?\n");
  ASSERT_EQ(typed.size(), 8u);
  EXPECT_EQ(typed[0].code, KEY_A);
  EXPECT_EQ(typed[2].code, KEY_LEFTSHIFT);
  EXPECT_EQ(typed[3].code, KEY_SLASH);
  EXPECT_EQ(typed[6].code, KEY_ENTER);
  for (char character = 0x20; character < 0x7f; ++character)
    EXPECT_TRUE(type_text(std::string(1, character))) << character;
  EXPECT_FALSE(type_text("\x01"));
  EXPECT_FALSE(type_text("ä"));
}

TEST(Base64, GoesBothWays) {
  const std::vector<uint8_t> bytes = {0, 1, 2, 250, 255, 77, 99};
  for (size_t length = 0; length <= bytes.size(); ++length) {
    const std::vector<uint8_t> part(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(length));
    EXPECT_EQ(from_base64(to_base64(part)), part);
  }
  EXPECT_EQ(to_base64(std::vector<uint8_t>{'M', 'a'}), "TWE=");
  EXPECT_FALSE(from_base64("abc"));
  EXPECT_FALSE(from_base64("ab!="));
}

}  // namespace
}  // namespace eidolon::control
