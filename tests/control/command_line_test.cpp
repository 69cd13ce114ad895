#include "control/command_line.h"

#include <gtest/gtest.h>

#include <fstream>
#include <vector>

#include "control/exit_status.h"

namespace eidolon::control {
namespace {

Request parse(std::vector<const char*> arguments) { return parse_command_line(arguments); }

/// The sentence that a wrong command line gets.
std::string refusal(std::vector<const char*> arguments) {
  const Request request = parse(std::move(arguments));
  const Finished* finished = std::get_if<Finished>(&request);
  if (finished == nullptr) return "(accepted)";
  EXPECT_EQ(finished->status, kExitUsage);
  EXPECT_EQ(finished->output, "");
  EXPECT_EQ(finished->error.find('\n'), std::string::npos) << "more than one line: " << finished->error;
  return finished->error;
}

TEST(CommandLine, RunHasDefaults) {
  const Request request = parse({"run", "--kernel", "vmlinuz"});
  const RunRequest& run = std::get<RunRequest>(request);
  EXPECT_EQ(run.machine.kernel_path, "vmlinuz");
  EXPECT_FALSE(run.machine.initrd_path.has_value());
  EXPECT_EQ(run.machine.command_line, "");
  EXPECT_EQ(run.machine.memory_bytes, uint64_t{512} << 20);
  EXPECT_EQ(run.machine.cpu_model, "host");
  EXPECT_EQ(run.machine.engine, machine::EngineChoice::kAuto);
  EXPECT_EQ(run.serial.kind, backend::SerialTarget::Kind::kStdio);
  EXPECT_TRUE(run.reboot);
}

TEST(CommandLine, CloneSaysHowMany) {
  const Request one = parse({"clone"}), many = parse({"clone", "--name", "web", "--count", "7", "--stop"});
  EXPECT_EQ(std::get<CloneRequest>(one).count, 1u);
  EXPECT_FALSE(std::get<CloneRequest>(one).stop);
  EXPECT_EQ(std::get<CloneRequest>(many).name, "web");
  EXPECT_EQ(std::get<CloneRequest>(many).count, 7u);
  EXPECT_TRUE(std::get<CloneRequest>(many).stop);
  const Request published =
      parse({"clone", "--count", "2", "--publish", "8081:80", "--publish", "5000:53/udp"});
  ASSERT_EQ(std::get<CloneRequest>(published).published.size(), 2u);
  EXPECT_EQ(std::get<CloneRequest>(published).published[0].host_port, 8081);
  EXPECT_TRUE(std::get<CloneRequest>(published).published[1].udp);
  EXPECT_NE(refusal({"clone", "--count", "3", "--publish", "65534:80"}).find("65534"), std::string::npos);
  EXPECT_NE(refusal({"clone", "--count", "0"}).find("--count"), std::string::npos);
  EXPECT_NE(refusal({"clone", "--name", "../web"}).find("../web"), std::string::npos);
}

TEST(CommandLine, RunTakesEveryOption) {
  const Request request =
      parse({"run", "--kernel", "k", "--initrd", "i", "--append", "console=ttyS0 quiet", "--memory", "1G",
             "--cpu", "x86-64-v2", "--engine", "step", "--serial", "file:log", "--no-reboot", "--stats"});
  const RunRequest& run = std::get<RunRequest>(request);
  EXPECT_EQ(run.machine.initrd_path, "i");
  EXPECT_EQ(run.machine.command_line, "console=ttyS0 quiet");
  EXPECT_EQ(run.machine.memory_bytes, uint64_t{1} << 30);
  EXPECT_EQ(run.machine.cpu_model, "x86-64-v2");
  EXPECT_EQ(run.machine.engine, machine::EngineChoice::kStep);
  EXPECT_EQ(run.serial.path, "log");
  EXPECT_FALSE(run.reboot);
  EXPECT_TRUE(run.statistics);
}

TEST(CommandLine, WhoUnpacksTheKernel) {
  using boot::KernelUnpack;
  const auto unpack = [](std::vector<const char*> arguments) {
    return std::get<RunRequest>(parse(std::move(arguments))).machine.kernel_unpack;
  };
  EXPECT_EQ(unpack({"run", "--kernel", "k"}), KernelUnpack::kHost);
  EXPECT_EQ(unpack({"run", "--kernel", "k", "--kernel-unpack", "host"}), KernelUnpack::kHost);
  EXPECT_EQ(unpack({"run", "--kernel", "k", "--kernel-unpack", "guest"}), KernelUnpack::kGuest);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--kernel-unpack", "me"}).find("host or guest"),
            std::string::npos);
}

TEST(CommandLine, PerfMapIsForTranslatedCode) {
  EXPECT_FALSE(std::get<RunRequest>(parse({"run", "--kernel", "k"})).perf_map);
  EXPECT_TRUE(std::get<RunRequest>(parse({"run", "--kernel", "k", "--perf-map"})).perf_map);
  EXPECT_TRUE(
      std::get<RunRequest>(parse({"run", "--kernel", "k", "--perf-map", "--engine", "translate"})).perf_map);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--perf-map", "--engine", "step"}).find("--perf-map"),
            std::string::npos);
}

TEST(CommandLine, ExplainTakesItsOptions) {
  const Request request =
      parse({"explain", "--kernel", "k", "--initrd", "i", "--append", "nokaslr", "--memory", "1G", "--at",
             "schedule+0x10", "--symbols", "System.map", "--after", "login:", "--timeout", "5"});
  const ExplainRequest& explain = std::get<ExplainRequest>(request);
  EXPECT_EQ(explain.machine.kernel_path, "k");
  EXPECT_EQ(explain.machine.initrd_path, "i");
  EXPECT_EQ(explain.machine.command_line, "nokaslr");
  EXPECT_EQ(explain.machine.memory_bytes, uint64_t{1} << 30);
  EXPECT_EQ(explain.at, "schedule+0x10");
  EXPECT_EQ(explain.symbols, "System.map");
  EXPECT_EQ(explain.after, "login:");
  EXPECT_EQ(explain.timeout_seconds, 5u);
}

TEST(CommandLine, ExplainRefusesWhatIsMissingOrWrong) {
  EXPECT_NE(refusal({"explain", "--kernel", "k"}).find("--at"), std::string::npos);
  EXPECT_NE(refusal({"explain", "--at", "0x1000"}).find("--kernel"), std::string::npos);
  EXPECT_NE(refusal({"explain", "--kernel", "k", "--at", "0x1", "--timeout", "0"}).find("--timeout"),
            std::string::npos);
  EXPECT_NE(refusal({"explain", "--kernel", "k", "--at", "0x1", "--engine", "step"}).find("explain --help"),
            std::string::npos);
}

TEST(CommandLine, RunTakesDisksAndANetwork) {
  using Access = machine::DiskConfig::Access;
  const Request request =
      parse({"run", "--kernel", "k", "--disk", "a.img", "--disk", "b,c.img,readonly", "--disk", "d,snapshot",
             "--net", "user", "--publish", "8080:80", "--publish", "2222:22"});
  const RunRequest& run = std::get<RunRequest>(request);
  ASSERT_EQ(run.machine.disks.size(), 3u);
  EXPECT_EQ(run.machine.disks[0].path, "a.img");
  EXPECT_EQ(run.machine.disks[0].access, Access::kReadWrite);
  EXPECT_EQ(run.machine.disks[1].path, "b,c.img");
  EXPECT_EQ(run.machine.disks[1].access, Access::kReadOnly);
  EXPECT_EQ(run.machine.disks[2].access, Access::kSnapshot);
  EXPECT_EQ(run.machine.disks[2].interface, machine::DiskConfig::Interface::kVirtio);
  ASSERT_EQ(run.machine.networks.size(), 1u);
  EXPECT_EQ(run.machine.networks[0].kind, machine::NetworkConfig::Kind::kUser);
  ASSERT_EQ(run.machine.networks[0].published.size(), 2u);
  EXPECT_EQ(run.machine.networks[0].published[1].guest_port, 22);
}

TEST(CommandLine, ADiskNamesItsInterface) {
  using Disk = machine::DiskConfig;
  const Request request = parse({"run", "--kernel", "k", "--disk", "a,readonly,if=nvme", "--disk",
                                 "b,c,if=nvme,snapshot", "--disk", "d,if=virtio", "--disk", "e,if=scsi"});
  const std::vector<Disk>& disks = std::get<RunRequest>(request).machine.disks;
  ASSERT_EQ(disks.size(), 4u);
  EXPECT_EQ(disks[0].path, "a");
  EXPECT_EQ(disks[0].interface, Disk::Interface::kNvme);
  EXPECT_EQ(disks[0].access, Disk::Access::kReadOnly);
  EXPECT_EQ(disks[1].path, "b,c");
  EXPECT_EQ(disks[1].interface, Disk::Interface::kNvme);
  EXPECT_EQ(disks[1].access, Disk::Access::kSnapshot);
  EXPECT_EQ(disks[2].interface, Disk::Interface::kVirtio);
  EXPECT_EQ(disks[3].interface, Disk::Interface::kScsi);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--disk", "a,if=mfm"}).find("if=nvme"), std::string::npos);
}

TEST(CommandLine, ADiskTakesAFormatAndWhatAFullHostMeans) {
  const Request request =
      parse({"run", "--kernel", "k", "--disk", "a,b,format=qcow2,snapshot,on-full=error", "--disk", "c"});
  const RunRequest& run = std::get<RunRequest>(request);
  ASSERT_EQ(run.machine.disks.size(), 2u);
  EXPECT_EQ(run.machine.disks[0].path, "a,b");
  EXPECT_EQ(run.machine.disks[0].format, backend::image::Format::kQcow2);
  EXPECT_EQ(run.machine.disks[0].access, machine::DiskConfig::Access::kSnapshot);
  EXPECT_TRUE(run.machine.disks[0].error_when_full);
  EXPECT_EQ(run.machine.disks[1].format, backend::image::Format::kUnknown);
  EXPECT_FALSE(run.machine.disks[1].error_when_full);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--disk", "a,format=cow"}).find("'cow'"), std::string::npos);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--disk", "a,on-full=cry"}).find("on-full=wait"),
            std::string::npos);
}

TEST(CommandLine, RunPutsDisksOnControllers) {
  using Access = machine::DiskConfig::Access;
  using Interface = machine::DiskConfig::Interface;
  const Request request =
      parse({"run", "--kernel", "k", "--disk", "a,if=ahci,snapshot", "--disk", "b,readonly,if=ide", "--cdrom",
             "c.iso", "--cdrom", "d.iso,if=ide", "--disk", "e"});
  const std::vector<machine::DiskConfig>& disks = std::get<RunRequest>(request).machine.disks;
  ASSERT_EQ(disks.size(), 5u);
  EXPECT_EQ(disks[0].path, "a");
  EXPECT_EQ(disks[0].interface, Interface::kAhci);
  EXPECT_EQ(disks[0].access, Access::kSnapshot);
  EXPECT_EQ(disks[1].interface, Interface::kIde);
  EXPECT_EQ(disks[1].access, Access::kReadOnly);
  EXPECT_EQ(disks[2].interface, Interface::kVirtio);
  EXPECT_TRUE(disks[3].cdrom);
  EXPECT_EQ(disks[3].interface, Interface::kAhci);
  EXPECT_EQ(disks[3].access, Access::kReadOnly);
  EXPECT_EQ(disks[4].interface, Interface::kIde);
}

TEST(CommandLine, RunTakesDiskettes) {
  const Request request = parse({"run", "--kernel", "k", "--floppy", "a.img,snapshot", "--floppy", "b.img"});
  const std::vector<machine::DiskConfig>& disks = std::get<RunRequest>(request).machine.disks;
  ASSERT_EQ(disks.size(), 2u);
  EXPECT_EQ(disks[0].interface, machine::DiskConfig::Interface::kFloppy);
  EXPECT_EQ(disks[0].access, machine::DiskConfig::Access::kSnapshot);
  EXPECT_EQ(disks[1].access, machine::DiskConfig::Access::kReadWrite);
}

TEST(CommandLine, DisksThatCannotBeAreRefused) {
  EXPECT_NE(refusal({"run", "--kernel", "k", "--floppy", "a,if=ide"}).find("leave out ,if="),
            std::string::npos);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--disk", "a,if=sas"}).find("'sas'"), std::string::npos);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--cdrom", "a,if=virtio"}).find("AHCI, IDE or SCSI"),
            std::string::npos);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--cdrom", "a,snapshot"}).find("never written"),
            std::string::npos);
  const std::string file = testing::TempDir() + "eidolon-disk-option";
  std::ofstream(file) << "x";
  EXPECT_NE(refusal({"run", "--kernel", "k", "--disk", (file + ",radonly").c_str()}).find("',radonly'"),
            std::string::npos);
  std::remove(file.c_str());
}

TEST(CommandLine, InputTakesDevices) {
  const RunRequest run = std::get<RunRequest>(parse({"run", "--kernel", "k", "--input", "keyboard,tablet"}));
  EXPECT_TRUE(run.machine.virtio_input.tablet);
  EXPECT_TRUE(run.machine.virtio_input.keyboard);
  EXPECT_FALSE(run.machine.usb.tablet);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--input", "mouse"}).find("--input does not know 'mouse'"),
            std::string::npos);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--engine", "lockstep", "--input", "tablet"}).find("--input"),
            std::string::npos);
}

TEST(CommandLine, VirtioTakesABus) {
  const auto bus = [](std::initializer_list<const char*> more) {
    std::vector<const char*> all = {"run"};
    all.insert(all.end(), more);
    return std::get<RunRequest>(parse(all)).machine.virtio_bus;
  };
  EXPECT_EQ(bus({"--kernel", "k"}), machine::VirtioBus::kPci);
  EXPECT_EQ(bus({"--kernel", "k", "--virtio", "pci"}), machine::VirtioBus::kPci);
  EXPECT_EQ(bus({"--kernel", "k", "--virtio", "mmio"}), machine::VirtioBus::kMmio);
  EXPECT_EQ(bus({"--kernel", "k", "--virtio", "transitional"}), machine::VirtioBus::kTransitional);
  EXPECT_EQ(bus({"--disk", "d", "--virtio", "mmio"}), machine::VirtioBus::kMmio);
  EXPECT_EQ(bus({"--firmware", "uefi", "--disk", "d,if=nvme", "--disk", "e", "--virtio", "mmio"}),
            machine::VirtioBus::kMmio);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--virtio", "isa"}).find("transitional or mmio"),
            std::string::npos);
  EXPECT_NE(refusal({"run", "--firmware", "uefi", "--disk", "d", "--virtio", "mmio"}).find("nvme"),
            std::string::npos);
}

TEST(CommandLine, UsbTakesDevices) {
  const auto usb = [](const char* text) {
    return std::get<RunRequest>(parse({"run", "--kernel", "k", "--usb", text})).machine.usb;
  };
  EXPECT_TRUE(usb("tablet").tablet);
  EXPECT_FALSE(usb("tablet").keyboard);
  EXPECT_TRUE(usb("tablet,keyboard").tablet);
  EXPECT_TRUE(usb("tablet,keyboard").keyboard);
  EXPECT_FALSE(usb("none").tablet);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--usb", "modem"}).find("tablet"), std::string::npos);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--usb", "tablet,"}).find("tablet"), std::string::npos);
}

TEST(CommandLine, ANetworkNamesItsCardAndAddress) {
  using Network = machine::NetworkConfig;
  const auto network = [](const char* text) {
    return std::get<RunRequest>(parse({"run", "--kernel", "k", "--net", text})).machine.networks.at(0);
  };
  EXPECT_EQ(network("user").card, Network::Card::kVirtio);
  EXPECT_EQ(network("user").address, device::net::kFirstAddress);
  EXPECT_EQ(network("user,card=e1000").card, Network::Card::kE1000);
  EXPECT_EQ(network("user,card=ne2000").card, Network::Card::kNe2000);
  EXPECT_EQ(network("user,card=ne2000-isa").card, Network::Card::kNe2000Isa);
  const Network both = network("user,mac=52:54:00:aB:cd:0f,card=e1000");
  EXPECT_EQ(both.card, Network::Card::kE1000);
  EXPECT_EQ(both.address, (device::net::MacAddress{0x52, 0x54, 0, 0xab, 0xcd, 0x0f}));
}

TEST(CommandLine, ANetworkMayBeASwitchAndBeCaptured) {
  using Network = machine::NetworkConfig;
  const auto network = [](const char* text) {
    return std::get<RunRequest>(parse({"run", "--kernel", "k", "--net", text})).machine.networks.at(0);
  };
  const Network one = network("switch=/tmp/lan,pcap=a.pcap"), two = network("switch=/tmp/lan");
  EXPECT_EQ(one.kind, Network::Kind::kSwitch);
  EXPECT_EQ(one.switch_path, "/tmp/lan");
  EXPECT_EQ(one.capture_path, "a.pcap");
  EXPECT_NE(one.address, two.address) << "once in 16 million runs they are alike";
  EXPECT_EQ(network("switch=/tmp/lan,mac=52:54:00:12:34:56").address, device::net::kFirstAddress);
  EXPECT_EQ(std::get<SwitchRequest>(parse({"switch", "/tmp/lan"})).path, "/tmp/lan");
  EXPECT_NE(refusal({"switch"}), "");
  EXPECT_NE(refusal({"run", "--kernel", "k", "--net", "switch="}).find("switch=SOCKET"), std::string::npos);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--net", "user,pcap="}).find("pcap=FILE"), std::string::npos);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--net", "switch=s", "--publish", "80:80"}).find("--net user"),
            std::string::npos);
}

std::vector<machine::NetworkConfig> networks(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), {"run", "--kernel", "k"});
  return std::get<RunRequest>(parse(arguments)).machine.networks;
}

TEST(CommandLine, AMachineMayHaveSeveralNetworks) {
  using Network = machine::NetworkConfig;
  EXPECT_TRUE(networks({}).empty());
  EXPECT_TRUE(networks({"--net", "none"}).empty());
  const auto three = networks({"--net", "switch=/tmp/lan,card=e1000", "--net", "user,pcap=a", "--net",
                               "user,pcap=b", "--publish", "80:80"});
  ASSERT_EQ(three.size(), 3u);
  EXPECT_EQ(three[0].kind, Network::Kind::kSwitch);
  EXPECT_EQ(three[0].card, Network::Card::kE1000);
  EXPECT_EQ(three[1].published.size(), 1u) << "the first that can";
  EXPECT_TRUE(three[2].published.empty());
  EXPECT_EQ(three[2].capture_path, "b");
  EXPECT_EQ(three[1].address, (device::net::MacAddress{0x52, 0x54, 0, 0x12, 0x34, 0x57}));
  EXPECT_EQ(three[2].address, (device::net::MacAddress{0x52, 0x54, 0, 0x12, 0x34, 0x58}));
  EXPECT_NE(refusal({"run", "--kernel", "k", "--net", "user", "--net", "none"}).find("--net none"),
            std::string::npos);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--net", "user", "--net", "user,mac=52:54:00:12:34:56"})
                .find("same address"),
            std::string::npos);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--net", "user,pcap=a", "--net", "user,pcap=a"}).find("'a'"),
            std::string::npos);
  EXPECT_NE(refusal({"run",   "--kernel", "k",     "--net", "user",  "--net", "user",
                     "--net", "user",     "--net", "user",  "--net", "user",  "--net",
                     "user",  "--net",    "user",  "--net", "user",  "--net", "user"})
                .find("8 network cards"),
            std::string::npos);
}

TEST(CommandLine, ANetworkMayBeATapDeviceOrPasst) {
  using Network = machine::NetworkConfig;
  const auto all = networks({"--net", "tap,card=e1000,ifname=tap3", "--net", "passt=/tmp/p", "--net", "passt",
                             "--publish", "80:80", "--name", "one"});
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].kind, Network::Kind::kTap);
  EXPECT_EQ(all[0].interface, "tap3");
  EXPECT_EQ(all[0].card, Network::Card::kE1000);
  EXPECT_NE(all[0].address, device::net::kFirstAddress) << "others may be on the same bridge";
  EXPECT_EQ(all[1].kind, Network::Kind::kPasst);
  EXPECT_EQ(all[1].switch_path, "/tmp/p");
  EXPECT_TRUE(all[1].published.empty()) << "who started it says what it publishes";
  EXPECT_EQ(all[2].kind, Network::Kind::kPasst);
  EXPECT_EQ(all[2].switch_path, "");
  EXPECT_EQ(all[2].published.size(), 1u);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--net", "user,ifname=tap0"}).find("ifname"), std::string::npos);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--net", "passt="}).find("passt"), std::string::npos);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--net", "tap,ifname=t", "--net", "tap,ifname=t"}).find("'t'"),
            std::string::npos);
}

TEST(CommandLine, DevicesMayBeServedByOthers) {
  const auto config = [](std::vector<const char*> options) {
    std::vector<const char*> all = {"run", "--kernel", "k"};
    all.insert(all.end(), options.begin(), options.end());
    return std::get<RunRequest>(parse(all)).machine;
  };
  EXPECT_FALSE(config({"--disk", "vhost-user", "--net", "user", "--share", "d"}).has_served());
  const auto disk = config({"--disk", "a", "--disk", "vhost-user:/tmp/d"});
  EXPECT_TRUE(disk.has_served());
  EXPECT_FALSE(disk.disks[0].served);
  EXPECT_TRUE(disk.disks[1].served);
  EXPECT_EQ(disk.disks[1].path, "/tmp/d");
  const auto card = config({"--net", "vhost-user=/tmp/n,mac=52:54:00:00:00:01"});
  EXPECT_TRUE(card.has_served());
  EXPECT_EQ(card.networks[0].switch_path, "/tmp/n");
  EXPECT_EQ(card.networks[0].address[5], 1);
  const auto folder = config({"--share", "vhost-user:/tmp/f,tag=work"});
  EXPECT_TRUE(folder.has_served());
  EXPECT_EQ(folder.shares[0].path, "/tmp/f");
  EXPECT_EQ(folder.shares[0].tag, "work");
  EXPECT_NE(refusal({"run", "--kernel", "k", "--disk", "vhost-user:"}).find("socket"), std::string::npos);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--disk", "vhost-user:/tmp/d,if=nvme"}).find("leave out"),
            std::string::npos);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--net", "vhost-user=/tmp/n,card=e1000"}).find("leave out"),
            std::string::npos);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--net", "vhost-user=/tmp/n,pcap=p"}).find("leave out"),
            std::string::npos);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--share", "vhost-user:/tmp/f,ro"}).find("leave out ,ro"),
            std::string::npos);
}

TEST(CommandLine, AddressesOnASwitchFollowFromWhatAMachineHasToItself) {
  const auto of_name = networks({"--name", "one", "--net", "switch=s", "--net", "switch=s"});
  EXPECT_NE(of_name[0].address, of_name[1].address);
  EXPECT_EQ(of_name[0].address, networks({"--name", "one", "--net", "switch=s"})[0].address);
  EXPECT_NE(of_name[0].address, networks({"--name", "two", "--net", "switch=s"})[0].address);
  const auto of_disk = networks({"--disk", "a.img", "--net", "switch=s"});
  EXPECT_EQ(of_disk[0].address, networks({"--disk", "./a.img", "--net", "switch=s"})[0].address);
  EXPECT_NE(of_disk[0].address, networks({"--disk", "b.img", "--net", "switch=s"})[0].address);
  EXPECT_NE(networks({"--disk", "a.img,snapshot", "--net", "switch=s"})[0].address,
            networks({"--disk", "a.img,snapshot", "--net", "switch=s"})[0].address)
      << "others may have that disk, too; once in 16 million runs they are alike";
}

TEST(CommandLine, NetworksThatCannotBeAreRefused) {
  for (const char* text :
       {"user,", "user,e1000", "none,card=e1000", "user,mac=52:54:00:12:34", "user,mac=01:00:00:00:00:01",
        "user,mac=00:00:00:00:00:00", "user,mac=52-54-00-12-34-56", "user,mac=52:54:00:12:34:5g"})
    EXPECT_NE(refusal({"run", "--kernel", "k", "--net", text}), "") << text;
  EXPECT_NE(refusal({"run", "--kernel", "k", "--net", "user,card=ne1000"}).find("ne2000-isa"),
            std::string::npos);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--net", "tap"}).find("ifname=tap0"), std::string::npos);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--publish", "80:80"}).find("--net user"), std::string::npos);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--net", "user", "--publish", "80"}).find("8080:80"),
            std::string::npos);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--engine", "lockstep", "--net", "user"}).find("lockstep"),
            std::string::npos);
}

TEST(CommandLine, CheckTakesJson) {
  EXPECT_FALSE(std::get<CheckRequest>(parse({"check"})).json);
  EXPECT_TRUE(std::get<CheckRequest>(parse({"check", "--json"})).json);
}

TEST(CommandLine, HelpAndVersionSucceed) {
  const Finished help = std::get<Finished>(parse({"--help"}));
  EXPECT_EQ(help.status, kExitOk);
  EXPECT_NE(help.output.find("eidolon run --kernel"), std::string::npos) << "no example";
  const Finished run_help = std::get<Finished>(parse({"run", "--help"}));
  EXPECT_EQ(run_help.status, kExitOk);
  EXPECT_NE(run_help.output.find("--no-reboot"), std::string::npos);
  EXPECT_NE(run_help.output.find("Exit status"), std::string::npos);
  const Finished version = std::get<Finished>(parse({"--version"}));
  EXPECT_EQ(version.status, kExitOk);
  EXPECT_EQ(version.output.rfind("eidolon ", 0), 0u);
}

TEST(CommandLine, RefusesWhatItDoesNotKnow) {
  EXPECT_NE(refusal({}).find("--help"), std::string::npos);
  EXPECT_NE(refusal({"walk"}).find("walk"), std::string::npos);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--colour"}).find("--colour"), std::string::npos);
  EXPECT_NE(refusal({"run", "--kernel", "k", "stray"}).find("stray"), std::string::npos);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--engine", "warp"}).find("warp"), std::string::npos);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--serial", "tcp:1"}).find("tcp:1"), std::string::npos);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--memory", "some"}).find("some"), std::string::npos);
}

TEST(CommandLine, RefusesWhatIsMissingOrSaidTwice) {
  EXPECT_NE(refusal({"run"}).find("--kernel"), std::string::npos);
  EXPECT_NE(refusal({"run", "--kernel"}).find("--kernel"), std::string::npos);
  EXPECT_NE(refusal({"run", "--kernel", "a", "--kernel", "b"}).find("--kernel"), std::string::npos);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--memory", "1G", "--memory", "2G"}).find("--memory"),
            std::string::npos);
}

TEST(CommandLine, RefusesToOverwriteTheKernelWithSerialOutput) {
  const std::string path = testing::TempDir() + "eidolon-command-line-kernel";
  std::ofstream(path) << "kernel";
  const std::string target = "file:" + path;
  EXPECT_NE(refusal({"run", "--kernel", path.c_str(), "--serial", target.c_str()}).find("overwrite"),
            std::string::npos);
  std::remove(path.c_str());
}

TEST(CommandLine, PortsLeadSomewhere) {
  using Kind = backend::PortTarget::Kind;
  const Request request =
      parse({"run", "--kernel", "k", "--console", "stdio", "--port", "org.a=socket:/a=b", "--port", "c=pty"});
  const RunRequest& run = std::get<RunRequest>(request);
  ASSERT_EQ(run.machine.ports.size(), 3u);
  EXPECT_EQ(run.machine.ports[0].name, "");
  EXPECT_EQ(run.machine.ports[0].target.kind, Kind::kStdio);
  EXPECT_EQ(run.machine.ports[1].name, "org.a");
  EXPECT_EQ(run.machine.ports[1].target.path, "/a=b");
  EXPECT_EQ(run.machine.ports[2].target.kind, Kind::kPty);
  EXPECT_EQ(run.serial.kind, backend::SerialTarget::Kind::kNull) << "the terminal is the console's";
}

TEST(CommandLine, RefusesPortsThatCannotBe) {
  const auto with = [](std::vector<const char*> more) {
    more.insert(more.begin(), {"run", "--kernel", "k"});
    return refusal(more);
  };
  EXPECT_NE(with({"--console", "tcp:1"}).find("--console does not know"), std::string::npos);
  EXPECT_NE(with({"--port", "name"}).find("--port does not know"), std::string::npos);
  EXPECT_NE(with({"--port", "=pty"}).find("NAME=TARGET"), std::string::npos);
  EXPECT_NE(with({"--port", "a/b=pty"}).find("NAME=TARGET"), std::string::npos);
  EXPECT_NE(with({"--port", "a=pty", "--port", "a=null"}).find("twice"), std::string::npos);
  EXPECT_NE(with({"--console", "stdio", "--port", "a=stdio"}).find("only one"), std::string::npos);
  EXPECT_NE(with({"--console", "stdio", "--serial", "stdio"}).find("share"), std::string::npos);
  EXPECT_NE(with({"--console", "stdio", "--display", "terminal"}).find("share"), std::string::npos);
  EXPECT_NE(with({"--console", "pty", "--engine", "lockstep"}).find("lockstep"), std::string::npos);
}

TEST(CommandLine, SocketsOfTheGuestHaveAPathAndAnAddress) {
  const auto vsock = [](const char* text) {
    return std::get<RunRequest>(parse({"run", "--kernel", "k", "--vsock", text})).machine.vsock;
  };
  EXPECT_EQ(vsock("/a/b").path, "/a/b");
  EXPECT_EQ(vsock("/a/b").cid, 3u);
  EXPECT_EQ(vsock("/a,b,cid=4294967294").path, "/a,b");
  EXPECT_EQ(vsock("/a,b,cid=4294967294").cid, 4294967294u);
  for (const char* text : {"/a,cid=2", "/a,cid=4294967295", "/a,cid=", "/a,cid=x", "/a,cid=3,4", "/a,cid=-1"})
    EXPECT_NE(refusal({"run", "--kernel", "k", "--vsock", text}).find("no address"), std::string::npos)
        << text;
  EXPECT_NE(refusal({"run", "--kernel", "k", "--vsock", ",cid=3"}).find("path"), std::string::npos);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--vsock", "/a", "--engine", "lockstep"}).find("lockstep"),
            std::string::npos);
}

TEST(CommandLine, FoldersAreSharedByTheirTags) {
  const Request request =
      parse({"run", "--kernel", "k", "--share", "/a,b", "--share", "/c,ro,tag=d,e,tag=f,ro"});
  const auto& shares = std::get<RunRequest>(request).machine.shares;
  ASSERT_EQ(shares.size(), 2u);
  EXPECT_EQ(shares[0].path, "/a,b");
  EXPECT_EQ(shares[0].tag, "share");
  EXPECT_FALSE(shares[0].read_only);
  EXPECT_EQ(shares[1].path, "/c,ro,tag=d,e");
  EXPECT_EQ(shares[1].tag, "f");
  EXPECT_TRUE(shares[1].read_only);
}

TEST(CommandLine, RefusesSharesThatCannotBe) {
  const auto with = [](std::vector<const char*> more) {
    more.insert(more.begin(), {"run", "--kernel", "k"});
    return refusal(more);
  };
  EXPECT_NE(with({"--share", "/a", "--share", "/b"}).find("two shared folders"), std::string::npos);
  EXPECT_NE(with({"--share", "/a,tag="}).find("no tag"), std::string::npos);
  EXPECT_NE(with({"--share", "/a,tag=1234567890123456789012345678901234567"}).find("no tag"),
            std::string::npos);
  EXPECT_NE(with({"--share", ",ro"}).find("folder"), std::string::npos);
  EXPECT_NE(with({"--share", "/a", "--engine", "lockstep"}).find("lockstep"), std::string::npos);
}

TEST(CommandLine, PersistentMemoryIsInFiles) {
  const Request request = parse({"run", "--kernel", "k", "--pmem", "/a,b", "--pmem", "c,readonly"});
  const auto& pmem = std::get<RunRequest>(request).machine.pmem;
  ASSERT_EQ(pmem.size(), 2u);
  EXPECT_EQ(pmem[0].path, "/a,b");
  EXPECT_FALSE(pmem[0].read_only);
  EXPECT_EQ(pmem[1].path, "c");
  EXPECT_TRUE(pmem[1].read_only);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--pmem", ",readonly"}).find("file"), std::string::npos);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--pmem", "a", "--engine", "lockstep"}).find("lockstep"),
            std::string::npos);
  EXPECT_NE(refusal({"run", "--kernel", "k", "--pmem", "a", "--share", "vhost-user:/tmp/f"}).find("--pmem"),
            std::string::npos);
  const std::string file = testing::TempDir() + "eidolon-pmem";
  std::ofstream(file) << "x";
  EXPECT_NE(refusal({"run", "--kernel", "k", "--pmem", file.c_str(), "--serial", ("file:" + file).c_str()})
                .find("persistent memory"),
            std::string::npos);
}

TEST(ExitStatus, IsAsTheManualSays) {
  using Kind = machine::Ending::Kind;
  EXPECT_EQ(exit_status({.kind = Kind::kPowerOff}), 0);
  EXPECT_EQ(exit_status({.kind = Kind::kReset}), 3);
  EXPECT_EQ(exit_status({.kind = Kind::kTripleFault}), 3);
  EXPECT_EQ(exit_status({.kind = Kind::kDebugExit, .debug_value = 0}), 1);
  EXPECT_EQ(exit_status({.kind = Kind::kDebugExit, .debug_value = 0x10}), 0x21);
  EXPECT_EQ(exit_status({.kind = Kind::kDebugExit, .debug_value = 0xffffffff}), 0xff);
}

}  // namespace
}  // namespace eidolon::control
