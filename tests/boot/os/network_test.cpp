// Debian's own drivers on the network cards of the machine: an address by DHCP, a download from the host's
// loopback, and data both ways through published ports. The guest is that of scripts/fetch_drivers.sh, or
// with programs for the network that of scripts/fetch_network_programs.sh.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <thread>

#include "backend/own_network.h"
#include "boot/os/archive.h"
#include "boot/os/disk_image.h"
#include "boot/os/guest_shell.h"

namespace eidolon::boot_test {
namespace {

using namespace std::chrono_literals;

sockaddr_in address_of(uint16_t port, uint32_t host = INADDR_LOOPBACK) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(host);
  return address;
}

FileDescriptor make_socket() { return FileDescriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

/// A listening socket of the host's.
struct Listener {
  FileDescriptor fd = make_socket();
  uint16_t port = 0;
  explicit Listener(uint32_t host = INADDR_LOOPBACK) {
    sockaddr_in address = address_of(0, host);
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

/// What a server there answers to `request`, or "" if nobody answers in time.
std::string ask(const sockaddr_in& address, std::string_view request, std::chrono::seconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (std::chrono::steady_clock::now() < deadline) {
    const FileDescriptor fd = make_socket();
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

  static void require_programs() {
    require_guest({"vmlinuz", "initrd-network"}, "scripts/fetch_network_programs.sh");
  }
  static std::vector<std::string> options(const std::string& network,
                                          const std::string& initrd = "initrd-drivers") {
    return {"run", "--kernel", guest_file("vmlinuz"), "--initrd", guest_file(initrd), "--append",
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
    const std::string answer = ask(address_of(kWeb), "GET /body HTTP/1.0\r\n\r\n", kCommandLimit);
    EXPECT_TRUE(answer.ends_with(body.text)) << answer.size() << " bytes, " << answer.substr(0, 300);
    guest.type("nc -l -p 9 -e sha256sum\n");
    EXPECT_TRUE(ask(address_of(kSink), body.text, kCommandLimit).starts_with(body.sha256));
    EXPECT_TRUE(guest.wait_for(kPrompt, kCommandLimit)) << guest.tail();
  }
  static sockaddr_in web() { return address_of(kWeb); }
  static uint16_t sink() { return kSink; }

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

TEST_F(DebianNetwork, CardsOfOneMachineHaveNetworksOfTheirOwn) {
  const std::string capture = testing::TempDir() + "network_test." + std::to_string(getpid()) + ".pcap";
  std::vector<std::string> arguments = options("user,pcap=" + capture);
  arguments.insert(arguments.end(), {"--net", "user", "--net", "user,card=e1000,mac=52:54:00:65:43:21"});
  GuestProcess guest(arguments);
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
  expect_answer(guest, "cat /sys/class/net/eth*/address | sort | tr '\\n' ,; echo",
                "52:54:00:12:34:56,52:54:00:12:34:57,52:54:00:65:43:21,\r\n");
  // Which of them is eth0 is for the order of the drivers to say.
  expect_answer(
      guest,
      "for a in 12:34:56 12:34:57 65:43:21; do d=$(dirname $(grep -l $a /sys/class/net/*/address)); "
      "udhcpc -i $(basename $d) -n -q -s /drivers/dhcp 2>&1 | sed -n 's/.*lease of \\([0-9.]*\\) .*/\\1/p'; "
      "done | tr '\\n' ,; echo",
      "10.0.2.15,10.0.3.15,10.0.4.15,\r\n");
  expect_answer(guest, "for n in 2 3 4; do ping -c 1 -W 20 10.0.$n.2; done | grep -c 'bytes from'", "3\r\n");
  const Body body;
  const Listener listener;
  std::thread server([&] { serve_once(listener, body.text); });
  expect_answer(guest, "wget -q -O - http://10.0.4.2:" + std::to_string(listener.port) + "/ | sha256sum",
                body.sha256);
  shutdown(listener.fd.get(), SHUT_RDWR);
  server.join();
  power_off(guest);
  EXPECT_GT(captured_bytes(capture), 0u);
  EXPECT_LT(captured_bytes(capture), body.text.size()) << "of the first card only";
  unlink(capture.c_str());
}

TEST_F(DebianNetwork, AnNe2000ReachesTheHostAndPublishedPortsTheGuest) {
  GuestProcess guest(options("user,card=ne2000,mac=52:54:00:65:43:21"));
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
  expect_answer(guest, "cat /sys/class/net/eth0/address", "52:54:00:65:43:21\r\n");
  expect_answer(guest, "basename $(readlink /sys/class/net/eth0/device/driver)", "ne2k-pci\r\n");
  exchange(guest);
  expect_answer(guest, "cat /sys/class/net/eth0/statistics/*_errors | sort -u | tr '\\n' .; echo", "0.\r\n");
  power_off(guest);
}

/// The host's ssh believes no key but the guest's, and the guest's server no key but the host's.
TEST_F(DebianNetwork, SshReachesTheGuestByAPublishedPort) {
  require_programs();
  if (IsSkipped()) return;
  if (std::system("command -v ssh >/dev/null") != 0)
    GTEST_SKIP() << "ssh is not installed; install Debian's openssh-client";
  const std::string directory = testing::TempDir() + "network_test." + std::to_string(getpid()) + ".ssh";
  std::filesystem::create_directory(directory);
  ASSERT_EQ(std::system(("ssh-keygen -q -t ed25519 -N '' -C test -f " + directory + "/key").c_str()), 0);
  std::string user_key = read_file(directory + "/key.pub");
  user_key.resize(user_key.find('\n'));

  GuestProcess guest(options("user", "initrd-network"));
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
  expect_answer(guest, "udhcpc -i eth0 -n -q -s /drivers/dhcp 2>&1", "lease of 10.0.2.15");
  // A home of root's that is not the shell's: its prompt stays as it is.
  expect_answer(
      guest, "mkdir -p /etc /tmp/home/.ssh; echo root:x:0:0::/tmp/home:/bin/sh > /etc/passwd; echo status $?",
      "status 0\r\n");
  expect_answer(guest, "echo '" + user_key + "' > /tmp/home/.ssh/authorized_keys; echo status $?",
                "status 0\r\n");
  expect_answer(guest, "dropbearkey -t ed25519 -f /etc/key | grep ^ssh", "ssh-ed25519 ");
  const std::string host_key = guest.output().substr(guest.output().rfind("ssh-ed25519 "));
  std::ofstream(directory + "/known")
      << "[127.0.0.1]:" << sink() << " " << host_key.substr(0, host_key.find('\r')) << "\n";
  expect_answer(guest, "dropbear -r /etc/key -s -p 9; echo status $?", "status 0\r\n");

  const Body body;
  std::ofstream(directory + "/body") << body.text;
  const std::string client = "timeout 120 ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=yes -i " +
                             directory + "/key -o UserKnownHostsFile=" + directory + "/known -p " +
                             std::to_string(sink()) + " root@127.0.0.1 ";
  const int status =
      std::system((client + "'tee /tmp/body | sha256sum; cat /tmp/body; uname -n >&2; exit 42' < " +
                   directory + "/body > " + directory + "/out 2> " + directory + "/errors")
                      .c_str());
  EXPECT_EQ(WEXITSTATUS(status), 42);
  EXPECT_TRUE(read_file(directory + "/out") == std::string(body.sha256) + "  -\n" + body.text);
  EXPECT_EQ(read_file(directory + "/errors"), "eidolon\n");
  power_off(guest);
  std::filesystem::remove_all(directory);
}

/// Disk, network, memory balloon and random numbers over MMIO, none of them on PCI; and the same after a
/// snapshot.
TEST_F(DebianNetwork, VirtioOverMmioHasTheDiskAndTheNetworkAndIsRestored) {
  const std::string base = testing::TempDir() + "network_test." + std::to_string(getpid());
  const std::string name = "mmio-" + std::to_string(getpid()), snapshot = base + ".snapshot";
  const DiskImage image(16 << 20);
  {
    std::vector<std::string> arguments = options("user");
    arguments.insert(arguments.end(), {"--virtio", "mmio", "--disk", image.path(), "--name", name});
    GuestProcess guest(arguments);
    ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
    expect_answer(guest, "cat /sys/bus/pci/devices/*/vendor | grep -c 1af4", "0\r\n");
    expect_answer(guest,
                  "for d in /sys/bus/platform/drivers/virtio-mmio/LNRO0005*/virtio*; do basename $(readlink "
                  "$d/driver); "
                  "done | sort | tr '\\n' ,; echo",
                  "virtio_balloon,virtio_blk,virtio_net,virtio_rng,\r\n");
    // Levels, each on a pin of its own as long as there are enough.
    expect_answer(guest, "grep -c 'IO-APIC *2[0-3]-fasteoi *virtio' /proc/interrupts", "4\r\n");
    expect_answer(guest, "dd if=/dev/hwrng bs=64 count=4 iflag=fullblock 2>/dev/null | wc -c", "256\r\n");
    expect_answer(guest, "mke2fs /dev/vda >/dev/null; mkdir /mnt; mount -t ext4 /dev/vda /mnt; echo $?",
                  "0\r\n");
    exchange(guest);
    expect_answer(guest, "cp /tmp/www/body /mnt; sync; echo synced $((6*7))", "synced 42\r\n");
    GuestProcess taken({"snapshot", "--name", name, "--stop", snapshot});
    EXPECT_EQ(taken.wait_for_end(kEndLimit), 0) << taken.errors();
    EXPECT_EQ(guest.wait_for_end(kEndLimit), 0) << guest.errors();
  }
  GuestProcess guest({"restore", snapshot});
  guest.type("\n");
  ASSERT_TRUE(guest.wait_for(kPrompt, kCommandLimit)) << guest.tail() << guest.errors();
  expect_answer(guest, "umount /mnt; mount -t ext4 /dev/vda /mnt; sha256sum < /mnt/body", Body().sha256);
  const std::string answer = ask(web(), "GET /body HTTP/1.0\r\n\r\n", kCommandLimit);
  EXPECT_TRUE(answer.ends_with(Body().text)) << answer.size() << " bytes";
  expect_answer(guest, "dmesg | grep -ciE 'nobody cared|I/O error|WARNING'", "0\r\n");
  power_off(guest);
  unlink(snapshot.c_str());
}

/// Packets of 64 KiB in the place of frames of 1500 bytes, and a pair of queues for each processor.
TEST_F(DebianNetwork, VirtioLeavesSegmentsAndChecksumsToOthers) {
  std::vector<std::string> arguments = options("user");
  arguments.insert(arguments.end(), {"--cpus", "2"});
  GuestProcess guest(arguments);
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
  expect_answer(guest, "ls /sys/class/net/eth0/queues | tr '\\n' ,; echo", "rx-0,rx-1,tx-0,tx-1,\r\n");
  exchange(guest);
  // Two million bytes went out, which are 1,380 segments; and what acknowledges those that came in.
  expect_answer(guest, "[ $(cat /sys/class/net/eth0/statistics/tx_packets) -lt 1380 ] && echo few$((1))",
                "few1\r\n");
  expect_answer(guest, "cat /sys/class/net/eth0/statistics/*_errors | sort -u | tr '\\n' .; echo", "0.\r\n");
  power_off(guest);
}

/// On a network of its own, where it may make tap devices.
class DebianOnATapDevice : public backend::NamespaceTest {
 protected:
  void SetUp() override {
    require_guest({"vmlinuz", "initrd-drivers"}, "scripts/fetch_drivers.sh");
    if (!IsSkipped()) NamespaceTest::SetUp();
  }
};

TEST_F(DebianOnATapDevice, ReachesTheHostAndOutlivesTheDevice) {
  if (!inside()) return;
  make_tap("tap0", "10.7.0.1");
  GuestProcess guest({"run", "--kernel", guest_file("vmlinuz"), "--initrd", guest_file("initrd-drivers"),
                      "--append", "console=ttyS0 quiet no_timer_check rdinit=/drivers/init", "--engine",
                      "translate", "--net", "tap,ifname=tap0"});
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
  expect_answer(guest, "ip address add 10.7.0.2/24 dev eth0; ip link set eth0 up; echo $?", "0\r\n");
  expect_answer(guest, "for i in $(seq 60); do ping -c 1 -W 1 10.7.0.1 && break; done | grep -c 'bytes from'",
                "1\r\n");
  const Body body;
  {
    const Listener listener(INADDR_ANY);
    std::thread server([&] { serve_once(listener, body.text); });
    expect_answer(guest,
                  "mkdir /tmp/www; wget -q -O /tmp/www/body http://10.7.0.1:" +
                      std::to_string(listener.port) + "/; sha256sum < /tmp/www/body",
                  body.sha256);
    shutdown(listener.fd.get(), SHUT_RDWR);
    server.join();
  }
  expect_answer(guest, "httpd -p 80 -h /tmp/www; echo $?", "0\r\n");
  const std::string answer = ask(address_of(80, 0x0a070002), "GET /body HTTP/1.0\r\n\r\n", kCommandLimit);
  EXPECT_TRUE(answer.ends_with(body.text)) << answer.size() << " bytes, " << answer.substr(0, 300);
  remove_tap("tap0");
  expect_answer(guest, "for i in $(seq 60); do grep 0 /sys/class/net/eth0/carrier && break; sleep 1; done",
                "0\r\n");
  make_tap("tap0", "10.7.0.1");
  expect_answer(guest, "for i in $(seq 60); do ping -c 1 -W 1 10.7.0.1 && break; done | grep -c 'bytes from'",
                "1\r\n");
  power_off(guest);
}

TEST_F(DebianNetwork, PasstReachesTheHostAndComesBackWhenItIsKilled) {
  if (std::system("command -v passt >/dev/null") != 0)
    GTEST_SKIP() << "passt is not installed; install Debian's package of that name";
  GuestProcess guest(options("passt"));
  ASSERT_TRUE(guest.wait_for(kPrompt, kBootLimit)) << guest.tail();
  const Body body;
  const Listener listener;
  std::thread server([&] { serve_once(listener, body.text); });
  expect_answer(guest, "udhcpc -i eth0 -n -q -s /drivers/dhcp 2>&1 | grep -c 'lease of'", "1\r\n");
  // The host's loopback is behind the router.
  expect_answer(guest,
                "mkdir /tmp/www; wget -q -O /tmp/www/body http://$(ip route | sed -n 's/default via \\([^ "
                "]*\\).*/\\1/p'):" +
                    std::to_string(listener.port) + "/; sha256sum < /tmp/www/body",
                body.sha256);
  shutdown(listener.fd.get(), SHUT_RDWR);
  server.join();
  expect_answer(guest, "httpd -p 80 -h /tmp/www; echo $?", "0\r\n");
  const std::string request = "GET /body HTTP/1.0\r\n\r\n";
  EXPECT_TRUE(ask(web(), request, kCommandLimit).ends_with(body.text));
  const std::vector<pid_t> before = guest.children();
  ASSERT_EQ(before.size(), 1u);
  ASSERT_EQ(kill(before[0], SIGKILL), 0);
  EXPECT_TRUE(ask(web(), request, kCommandLimit).ends_with(body.text)) << "by the next one";
  const std::vector<pid_t> after = guest.children();
  ASSERT_EQ(after.size(), 1u);
  EXPECT_NE(after[0], before[0]);
  power_off(guest);
}

/// Two machines on a switch, each with a card of its own kind.
class DebianOnASwitch : public DebianNetwork {
 protected:
  void SetUp() override { require_programs(); }
  static std::vector<std::string> on_switch(const std::string& network) {
    std::vector<std::string> all = options(network, "initrd-network");
    all.resize(all.size() - 4);  // nothing is published
    return all;
  }
  static void ping_each_other(GuestProcess& one, GuestProcess& two) {
    // While the link is down or new, some get lost.
    expect_answer(one, "for i in $(seq 60); do ping -c 1 -W 1 10.9.0.2 && break; done | grep -c 'bytes from'",
                  "1\r\n");
    expect_answer(two, "ping -c 1 -W 5 10.9.0.1 | grep -c 'bytes from'", "1\r\n");
  }
  /// A number of bytes in what iperf3 has said as JSON.
  static uint64_t bytes_of(GuestProcess& guest, const std::string& file, const std::string& sum) {
    expect_answer(guest,
                  "echo bytes $(sed -n '/\"" + sum + "\"/,/}/s/.*\"bytes\":[^0-9]*\\([0-9]*\\).*/\\1/p' " +
                      file + ") end",
                  " end\r\n");
    const std::string& text = guest.output();
    return std::strtoull(text.c_str() + text.rfind("bytes ") + 6, nullptr, 10);
  }
  /// TCP from `client` to `server`, at 10.9.0.1, or back: what one end has sent the other has received, by
  /// the account of both.
  static void stream(GuestProcess& server, GuestProcess& client, const std::string& direction) {
    constexpr uint64_t kBytes = 16 << 20;
    expect_answer(server,
                  "iperf3 -s -1 -J > /tmp/server & until netstat -ltn | grep -q :5201; do sleep 1; done; "
                  "echo listens $((6*7))",
                  "listens 42\r\n");
    expect_answer(
        client,
        "iperf3 -c 10.9.0.1 -J -n " + std::to_string(kBytes) + direction + " > /tmp/client; echo status $?",
        "status 0\r\n");
    expect_answer(server, "wait; echo over $((6*7))", "over 42\r\n");
    const bool back = !direction.empty();
    GuestProcess &from = back ? server : client, &to = back ? client : server;
    const std::string from_file = back ? "/tmp/server" : "/tmp/client",
                      to_file = back ? "/tmp/client" : "/tmp/server";
    const uint64_t sent = bytes_of(from, from_file, "sum_sent"),
                   received = bytes_of(to, to_file, "sum_received");
    EXPECT_GE(sent, kBytes);
    // What is on its way when the sender says that it has finished is not counted any more.
    EXPECT_GT(received, kBytes / 2);
    EXPECT_LE(received, sent);
    EXPECT_EQ(bytes_of(client, "/tmp/client", "sum_sent"), sent) << "both ends say the same";
    EXPECT_EQ(bytes_of(client, "/tmp/client", "sum_received"), received);
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
  stream(one, two, "");
  stream(one, two, " -R");
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
