// Debian's own drivers on the network cards of the machine: an address by DHCP, a download from the host's
// loopback, and data both ways through published ports. The guest is that of scripts/fetch_drivers.sh.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <fstream>
#include <optional>
#include <string>
#include <thread>

#include "boot/os/guest_shell.h"

namespace eidolon::boot_test {
namespace {

using namespace std::chrono_literals;

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

FileDescriptor make_socket() { return FileDescriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

/// A listening socket on the host's loopback.
struct Listener {
  FileDescriptor fd = make_socket();
  uint16_t port = 0;
  Listener() {
    sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(fd.get(), generic, sizeof address), 0);
    EXPECT_EQ(listen(fd.get(), 4), 0);
    EXPECT_EQ(getsockname(fd.get(), generic, &length), 0);
    port = ntohs(address.sin_port);
  }
};

uint16_t free_port() { return Listener().port; }

bool send_all(const FileDescriptor& to, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = send(to.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

/// Answers one HTTP request with `body`.
void serve_once(const Listener& listener, const std::string& body) {
  const FileDescriptor client(accept(listener.fd.get(), nullptr, nullptr));
  std::string request;
  char buffer[1024];
  while (request.find("\r\n\r\n") == std::string::npos) {
    const ssize_t count = read(client.get(), buffer, sizeof buffer);
    if (count <= 0) return;
    request.append(buffer, static_cast<size_t>(count));
  }
  (void)send_all(client,
                 "HTTP/1.0 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
}

/// What a server behind the host's port answers to `request`, or "" if nobody answers in time.
std::string ask(uint16_t port, std::string_view request, std::chrono::seconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (std::chrono::steady_clock::now() < deadline) {
    const FileDescriptor fd = make_socket();
    const sockaddr_in address = loopback(port);
    const timeval patience{.tv_sec = 20, .tv_usec = 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    std::string answer;
    if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
        send_all(fd, request)) {
      shutdown(fd.get(), SHUT_WR);
      char buffer[4096];
      for (ssize_t count; (count = read(fd.get(), buffer, sizeof buffer)) > 0;)
        answer.append(buffer, static_cast<size_t>(count));
    }
    if (!answer.empty()) return answer;
    std::this_thread::sleep_for(200ms);
  }
  return {};
}

/// Two million bytes of which no two parts are alike.
struct Body {
  std::string text;
  const char* sha256 = "4e93592fe279ff9dc8e23ffba46f53943cefa9d6ba330fcd5f95d497cbd1fac5";
  Body() {
    for (int i = 0; text.size() < 2'000'000; ++i) text += std::to_string(i) + "\n";
  }
};

class DebianNetwork : public testing::Test {
 protected:
  void SetUp() override { require_guest({"vmlinuz", "initrd-drivers"}, "scripts/fetch_drivers.sh"); }

  static std::vector<std::string> options(const std::string& network) {
    return {"run", "--kernel", guest_file("vmlinuz"), "--initrd", guest_file("initrd-drivers"), "--append",
            // The kernel's check of the timer fails on a host that is so busy that ticks get lost.
            "console=ttyS0 quiet no_timer_check rdinit=/drivers/init", "--engine", "translate", "--net",
            network, "--publish", std::to_string(kWeb) + ":80", "--publish", std::to_string(kSink) + ":9"};
  }
  /// An address, a download, and data into the guest and out of it by published ports.
  void exchange(GuestProcess& guest) {
    const Body body;
    const Listener listener;
    std::thread server([&] { serve_once(listener, body.text); });
    expect_answer(guest, "udhcpc -i eth0 -n -q -s /drivers/dhcp 2>&1",
                  "lease of 10.0.2.15 obtained from 10.0.2.2");
    expect_answer(guest,
                  "mkdir /tmp/www; wget -q -O /tmp/www/body http://10.0.2.2:" +
                      std::to_string(listener.port) + "/; sha256sum < /tmp/www/body",
                  body.sha256);
    shutdown(listener.fd.get(), SHUT_RDWR);  // if the guest never came
    server.join();
    if (HasFailure()) return;
    expect_answer(guest, "httpd -p 80 -h /tmp/www; echo $?", "0\r\n");
    const std::string answer = ask(kWeb, "GET /body HTTP/1.0\r\n\r\n", kCommandLimit);
    EXPECT_TRUE(answer.ends_with(body.text)) << answer.size() << " bytes, " << answer.substr(0, 300);
    guest.type("nc -l -p 9 -e sha256sum\n");
    EXPECT_TRUE(ask(kSink, body.text, kCommandLimit).starts_with(body.sha256));
    EXPECT_TRUE(guest.wait_for(kPrompt, kCommandLimit)) << guest.tail();
  }

 private:
  static inline const uint16_t kWeb = free_port(), kSink = free_port();
};

/// How many bytes of frames are in a capture; 0 if it is not whole.
uint64_t captured_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::array<uint32_t, 6> header{};
  if (!file.read(reinterpret_cast<char*>(header.data()), sizeof header) || header[0] != 0xa1b2c3d4) return 0;
  uint64_t sum = 0;
  for (std::array<uint32_t, 4> frame{}; file.read(reinterpret_cast<char*>(frame.data()), sizeof frame);) {
    if (!file.ignore(frame[2]) || file.gcount() != frame[2]) return 0;
    sum += frame[2];
  }
  return file.gcount() == 0 ? sum : 0;
}

TEST_F(DebianNetwork, VirtioReachesTheHostAndPublishedPortsTheGuest) {
  const std::string capture = testing::TempDir() + "network_test." + std::to_string(getpid()) + ".pcap";
  GuestProcess guest(options("user,pcap=" + capture));
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
  exchange(guest);
  guest.send_signal(SIGKILL);
  EXPECT_EQ(guest.wait_for_end(kEndLimit), 128 + SIGKILL);
  EXPECT_GT(captured_bytes(capture), 3 * Body().text.size()) << "the body went over the wire three times";
  unlink(capture.c_str());
}

TEST_F(DebianNetwork, AnE1000ReachesTheHostAndPublishedPortsTheGuest) {
  GuestProcess guest(options("user,card=e1000,mac=52:54:00:65:43:21"));
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
  expect_answer(guest, "cat /sys/class/net/eth0/address", "52:54:00:65:43:21\r\n");
  exchange(guest);
  expect_answer(guest, "cat /sys/class/net/eth0/speed", "1000\r\n");
  expect_answer(guest, "basename $(readlink /sys/class/net/eth0/device/driver)", "e1000\r\n");
  expect_answer(guest, "cat /sys/class/net/eth0/statistics/*_errors | sort -u | tr '\\n' .; echo", "0.\r\n");
  power_off(guest);
}

/// Two machines on a switch, each with a card of its own kind.
class DebianOnASwitch : public DebianNetwork {
 protected:
  static std::vector<std::string> on_switch(const std::string& network) {
    std::vector<std::string> all = options(network);
    all.resize(all.size() - 4);  // nothing is published
    return all;
  }
  static void ping_each_other(GuestProcess& one, GuestProcess& two) {
    // While the link is down or new, some get lost.
    expect_answer(one, "for i in $(seq 60); do ping -c 1 -W 1 10.9.0.2 && break; done | grep -c 'bytes from'",
                  "1\r\n");
    expect_answer(two, "ping -c 1 -W 5 10.9.0.1 | grep -c 'bytes from'", "1\r\n");
  }
};

TEST_F(DebianOnASwitch, MachinesReachEachOtherAndOutliveTheSwitch) {
  const std::string path = testing::TempDir() + "network_test." + std::to_string(getpid()) + ".switch";
  const std::string listens = "a switch listens";
  std::optional<GuestProcess> ports(std::in_place, std::vector<std::string>{"switch", path});
  GuestProcess one(on_switch("switch=" + path + ",card=e1000")), two(on_switch("switch=" + path));
  ASSERT_TRUE(one.wait_for(kPrompt, kBootLimit)) << one.tail();
  ASSERT_TRUE(two.wait_for(kPrompt, kBootLimit)) << two.tail();
  expect_answer(one, "ip address add 10.9.0.1/24 dev eth0; ip link set eth0 up; echo $?", "0\r\n");
  expect_answer(two, "ip address add 10.9.0.2/24 dev eth0; ip link set eth0 up; echo $?", "0\r\n");
  ping_each_other(one, two);
  expect_answer(one, "mkdir /tmp/www; seq 1 200000 > /tmp/www/body; httpd -p 80 -h /tmp/www; echo $?",
                "0\r\n");
  expect_answer(two, "wget -q -O - http://10.9.0.1/body | sha256sum",
                "5af7b95208fdcff454bab3f5eddf567a688a3796c703d4fef91072e38645c062");
  ports.reset();
  expect_answer(one, "for i in $(seq 60); do grep 0 /sys/class/net/eth0/carrier && break; sleep 1; done",
                "0\r\n");
  expect_answer(two, "for i in $(seq 60); do grep 0 /sys/class/net/eth0/carrier && break; sleep 1; done",
                "0\r\n");
  ports.emplace(std::vector<std::string>{"switch", path});
  ping_each_other(one, two);
  power_off(one);
  power_off(two);
  ports->send_signal(SIGTERM);
  EXPECT_EQ(ports->wait_for_end(kEndLimit), 0) << ports->errors();
  EXPECT_NE(ports->errors().find(listens), std::string::npos) << ports->errors();
}

}  // namespace
}  // namespace eidolon::boot_test
