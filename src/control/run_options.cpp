#include "control/run_options.h"

#include <algorithm>
#include <filesystem>

#include "base/try.h"
#include "control/disk_option.h"
#include "control/net_option.h"
#include "control/pmem_option.h"
#include "control/ports.h"
#include "control/share_option.h"
#include "control/vsock_option.h"

namespace eidolon::control {

namespace {

void describe_firmware(CLI::App& run, FirmwareText& text) {
  run.add_option(
         "--firmware", text.firmware,
         "start from firmware instead of a kernel: bios (SeaBIOS), uefi (OVMF), or a ROM image. Without "
         "--kernel and with a disk, bios is meant")
      ->type_name("FIRMWARE");
  run.add_option(
         "--uefi-vars", text.variables,
         "the machine's UEFI variables, made if the file is not there; without it they are forgotten at "
         "the end")
      ->type_name("FILE");
  run.add_option("--boot", text.boot,
                 "what firmware tries first: disk, cdrom, floppy and net, in the order wanted")
      ->type_name("ORDER");
  run.add_option("--firmware-log", text.log, "what firmware says on its debug port goes to this file")
      ->type_name("FILE");
  run.add_option(
         "--fw-cfg", text.items,
         "a file that the guest reads by fw_cfg: name=NAME,file=PATH or name=NAME,string=TEXT. May be "
         "given several times")
      ->type_name("ITEM")
      ->allow_extra_args(false);
  run.add_option("--smbios-string", text.strings,
                 "a string for the guest in SMBIOS (type 11), such as a credential for systemd. May be given "
                 "several times")
      ->type_name("TEXT")
      ->allow_extra_args(false);
}

bool same_file(const std::string& one, const std::string& other) {
  std::error_code ignored;
  return !one.empty() && !other.empty() && std::filesystem::equivalent(one, other, ignored);
}

/// What no two machines that run have in common: a name, or a disk that is written. Empty: there is no such
/// thing.
std::string identity(const RunRequest& request) {
  if (!request.name.empty()) return request.name;
  const auto is_own = [](const machine::DiskConfig& disk) {
    return disk.access == machine::DiskConfig::Access::kReadWrite;
  };
  const auto disk = std::ranges::find_if(request.machine.disks, is_own);
  if (disk == request.machine.disks.end()) return {};
  std::error_code error;
  const auto full = std::filesystem::absolute(disk->path, error);
  return error ? disk->path : full.lexically_normal().string();
}

Result<std::vector<machine::NetworkConfig>> read_networks(const RunText& text, const RunRequest& request) {
  auto networks = EIDOLON_TRY(parse_networks(text.nets, identity(request)));
  if (text.published.empty()) return networks;
  const auto user = std::ranges::find_if(networks, &machine::NetworkConfig::publishes);
  if (user == networks.end()) return fail("--publish needs a network to lead into; add --net user");
  user->published = EIDOLON_TRY(backend::parse_published_ports(text.published));
  return networks;
}

Result<machine::VirtioBus> read_virtio_bus(const RunText& text,
                                           const std::vector<machine::DiskConfig>& disks) {
  using Interface = machine::DiskConfig::Interface;
  if (text.virtio == "pci") return machine::VirtioBus::kPci;
  if (text.virtio == "transitional") return machine::VirtioBus::kTransitional;
  if (text.virtio != "mmio")
    return fail("--virtio does not know '{}'; it takes pci, transitional or mmio", text.virtio);
  const auto unseen = [](const machine::DiskConfig& disk) {
    return disk.interface == Interface::kVirtio || disk.interface == Interface::kScsi;
  };
  if (text.firmware.firmware == "uefi" && !disks.empty() && std::ranges::all_of(disks, unseen))
    return fail(
        "UEFI does not see disks of virtio over MMIO; leave out --virtio mmio, or boot from ,if=nvme");
  return machine::VirtioBus::kMmio;
}

Result<machine::InputDevices> read_input_devices(std::string_view option, std::string_view text) {
  machine::InputDevices devices;
  if (text == "none") return devices;
  for (size_t comma = 0; comma != std::string_view::npos;) {
    comma = text.find(',');
    const std::string_view device = text.substr(0, comma);
    if (device != "tablet" && device != "keyboard")
      return fail("{} does not know '{}'; it takes tablet, keyboard, tablet,keyboard or none", option,
                  device);
    (device == "tablet" ? devices.tablet : devices.keyboard) = true;
    if (comma != std::string_view::npos) text.remove_prefix(comma + 1);
  }
  return devices;
}

Result<machine::FirmwareConfig> read_firmware(const RunText& text) {
  const FirmwareText& typed = text.firmware;
  machine::FirmwareConfig config;
  const bool direct = !text.machine.kernel.empty();
  if (direct && !typed.firmware.empty())
    return fail("--kernel boots a kernel without firmware; leave out --kernel or --firmware");
  if (direct && !(typed.variables.empty() && typed.boot.empty() && typed.log.empty()))
    return fail(
        "--uefi-vars, --boot and --firmware-log are about firmware, and --kernel boots without; leave out "
        "one or the other");
  if (!direct) {
    if (!text.machine.initrd.empty() || !text.machine.append.empty())
      return fail("--initrd and --append belong to a kernel; add --kernel");
    if (typed.firmware.empty() && text.disks.empty() && text.cdroms.empty() && text.floppies.empty())
      return fail(
          "there is nothing to start; give a kernel with --kernel, a disk with --disk, or --firmware");
    config = machine::find_firmware(typed.firmware.empty() ? "bios" : typed.firmware);
    config.variables_path = typed.variables;
    if (typed.firmware != "uefi" && typed.firmware.find('/') == std::string::npos && !typed.variables.empty())
      return fail("--uefi-vars is about --firmware uefi; add that, or leave it out");
  }
  if (!typed.boot.empty()) config.boot_order = EIDOLON_TRY(machine::parse_boot_order(typed.boot));
  for (const std::string& item : typed.items)
    config.items.push_back(EIDOLON_TRY(machine::parse_fw_cfg_item(item)));
  config.smbios_strings = typed.strings;
  return config;
}

Result<> check_capture(const std::string& capture, const RunText& text, const RunRequest& request) {
  if (same_file(capture, text.machine.kernel) || same_file(capture, text.machine.initrd) ||
      same_file(capture, request.serial.path))
    return fail("pcap= would overwrite '{}', which the machine needs; name another file", capture);
  for (const machine::DiskConfig& disk : request.machine.disks)
    if (same_file(capture, disk.path))
      return fail("pcap= would overwrite the disk '{}'; name another file", disk.path);
  for (const machine::PmemConfig& pmem : request.machine.pmem)
    if (same_file(capture, pmem.path))
      return fail("pcap= would overwrite the persistent memory '{}'; name another file", pmem.path);
  return {};
}

}  // namespace

void RunOptions::describe(CLI::App& app) {
  run_ = app.add_subcommand("run", "Run a virtual machine");
  CLI::App& run = *run_;
  RunText& text = text_;
  describe_machine(run, text.machine);
  describe_session(run, text.session);
  run.add_option(
         "--disk", text.disks,
         "a disk: an image, a block device, nbd://host/name, or vhost-user:SOCKET (another process serves "
         "it); an image's format is seen from its start, or said: "
         ",format=raw (qcow2, vmdk, vhdx, vdi); with ,readonly it cannot be written, with ,snapshot "
         "what is written is forgotten at the end; ,if=virtio (/dev/vda, vdb ...; the default) or "
         ",if=nvme (/dev/nvme0n1 ...), ,if=scsi (virtio-scsi), ,if=ahci or ,if=ide (/dev/sda ...). May be "
         "given "
         "several times")
      ->type_name("FILE")
      ->allow_extra_args(false);
  run.add_option(
         "--cdrom", text.cdroms,
         "an ISO image in a CD-ROM drive, on ,if=ahci, ,if=ide or ,if=scsi. May be given several times")
      ->type_name("FILE")
      ->allow_extra_args(false);
  run.add_option("--floppy", text.floppies,
                 "an image of a diskette (1440K and other usual sizes) in a floppy drive, with ,readonly or "
                 ",snapshot. "
                 "Twice at most")
      ->type_name("FILE")
      ->allow_extra_args(false);
  describe_firmware(run, text.firmware);
  run.add_option(
         "--net", text.nets,
         "a network card, which leads to: user (the host's own connections), passt (the same by that "
         "program, "
         "or by one that runs at passt=SOCKET), switch=SOCKET (a switch, see eidolon switch), "
         "tap,ifname=NAME (a tap device of the host's), or vhost-user=SOCKET (another process serves the "
         "card); "
         "none: no card. ,card=virtio (the default) or "
         ",card=e1000 (Intel 82540EM), ne2000 (on PCI) or ne2000-isa says which card, ,mac=ADDRESS its "
         "address; "
         "what passes is kept in a file for Wireshark with ,pcap=FILE. May be given several times, once for "
         "each card")
      ->type_name("NETWORK")
      ->allow_extra_args(false);
  run.add_option(
         "--publish", text.published,
         "a TCP port of the host that leads into the guest, as 8080:80; [ADDRESS:]HOST:GUEST[/udp]. May be "
         "given several times, with --net user or passt; the first of those is meant")
      ->type_name("HOST:GUEST")
      ->allow_extra_args(false);
  run.add_option(
         "--usb", text.usb,
         "what is plugged into a USB controller: tablet (a pointer with absolute positions), keyboard, or "
         "both, as tablet,keyboard; none: no controller")
      ->type_name("DEVICES")
      ->capture_default_str();
  run.add_option("--input", text.input,
                 "virtio input devices, which get what the user does once the guest has drivers: tablet, "
                 "keyboard, or "
                 "both, as tablet,keyboard; none")
      ->type_name("DEVICES")
      ->capture_default_str();
  run.add_option("--vga", text.vga, "std: a VGA adapter with the Bochs display interface; none")
      ->type_name("ADAPTER")
      ->capture_default_str();
  run.add_option(
         "--console", text.console,
         "a virtio console (hvc0), which leads to: stdio (this terminal), pty, socket:PATH, file:PATH or "
         "null")
      ->type_name("TARGET");
  run.add_option(
         "--port", text.ports,
         "a named port of it for programs (/dev/vport0p1 ...): NAME=TARGET, with the same targets. May be "
         "given several times")
      ->type_name("NAME=TARGET")
      ->allow_extra_args(false);
  run.add_option(
         "--vsock", text.vsock,
         "sockets between host and guest (AF_VSOCK): a program that connects to this Unix socket and says "
         "'CONNECT <port>' reaches that port of the guest; a guest that connects to port N of the host (CID "
         "2) "
         "reaches PATH_N. ,cid=N is the guest's address, if not 3")
      ->type_name("PATH");
  run.add_option(
         "--share", text.shares,
         "a folder of the host for the guest, which mounts it by 'mount -t virtiofs share /mnt'; ,tag=NAME "
         "calls it something else than share, with ,ro it cannot be changed; vhost-user:SOCKET: a program "
         "such as "
         "virtiofsd serves it. May be given several times")
      ->type_name("DIR")
      ->allow_extra_args(false);
  run.add_option(
         "--pmem", text.pmem,
         "a file that the guest has as persistent memory (/dev/pmem0 ...), which it can use without copying; "
         "best a multiple of 2M long. With ,readonly the guest cannot change it. May be given several times")
      ->type_name("FILE")
      ->allow_extra_args(false);
  run.add_option("--virtio", text.virtio,
                 "where the virtio devices are: pci, transitional (the same, and drivers older than virtio "
                 "1.0 can use "
                 "them), or mmio (a page and a shared interrupt each, named in ACPI)")
      ->type_name("BUS")
      ->capture_default_str();
  run.add_option("--balloon", text.balloon,
                 "virtio: a memory balloon, by which the guest gives memory back; none")
      ->type_name("BALLOON")
      ->capture_default_str();
  run.footer(R"(Keys: Ctrl-A x quits, Ctrl-A h helps, Ctrl-A Ctrl-A sends Ctrl-A to the guest.

Exit status: 0 after the guest's power-off or Ctrl-A x; (value << 1) | 1 after a write to the debug-exit
port 0xf4; 3 after a reset or a triple fault under --no-reboot; 2 if the command line or a file is wrong;
1 if the host failed; 128 + number after a signal.

Examples:
  eidolon run --kernel vmlinuz --initrd initrd.gz --append console=ttyS0
  eidolon run --kernel vmlinux --memory 2G --cpu x86-64-v3 --append "console=ttyS0 panic=-1" --no-reboot
  eidolon run --kernel vmlinuz --initrd initrd.img --append "root=/dev/vda console=ttyS0" --disk root.img --net user
  eidolon run --firmware uefi --uefi-vars machine.vars --disk disk.img
  eidolon run --kernel test.elf --engine step --serial file:test.log)");
}

Result<RunRequest> RunOptions::read() const {
  const RunText& text = text_;
  RunRequest request;
  request.machine = EIDOLON_TRY(read_machine(text.machine));
  request.machine.firmware = EIDOLON_TRY(read_firmware(text));
  request.firmware_log = text.firmware.log;
  if (text.vga != "std" && text.vga != "none")
    return fail("--vga does not know '{}'; it takes std or none", text.vga);
  request.machine.vga = text.vga == "std";
  if (text.balloon != "virtio" && text.balloon != "none")
    return fail("--balloon does not know '{}'; it takes virtio or none", text.balloon);
  request.machine.balloon = text.balloon == "virtio";
  request.machine.ports = EIDOLON_TRY(parse_ports(text.console, text.ports));
  if (!text.vsock.empty()) request.machine.vsock = EIDOLON_TRY(parse_vsock(text.vsock));
  request.machine.shares = EIDOLON_TRY(parse_shares(text.shares));
  for (const std::string& file : text.pmem) request.machine.pmem.push_back(EIDOLON_TRY(parse_pmem(file)));
  EIDOLON_TRY(read_session(text.session, request));
  for (const std::string& disk : text.disks) request.machine.disks.push_back(EIDOLON_TRY(parse_disk(disk)));
  for (const std::string& disc : text.cdroms) request.machine.disks.push_back(EIDOLON_TRY(parse_cdrom(disc)));
  for (const std::string& diskette : text.floppies)
    request.machine.disks.push_back(EIDOLON_TRY(parse_floppy(diskette)));
  request.machine.networks = EIDOLON_TRY(read_networks(text, request));
  request.machine.virtio_bus = EIDOLON_TRY(read_virtio_bus(text, request.machine.disks));
  request.machine.usb = EIDOLON_TRY(read_input_devices("--usb", text.usb));
  request.machine.virtio_input = EIDOLON_TRY(read_input_devices("--input", text.input));
  if (!request.machine.pmem.empty() && request.machine.has_served())
    return fail(
        "devices that other processes serve (vhost-user) do not reach persistent memory; leave out these or "
        "--pmem");
  // A recording cannot hold what devices write into memory while the processor runs.
  if (request.machine.engine == machine::EngineChoice::kLockstep &&
      (!request.machine.disks.empty() || text.usb != "none" || text.input != "none" ||
       !request.machine.ports.empty() || !request.machine.vsock.path.empty() ||
       !request.machine.shares.empty() || !request.machine.pmem.empty() || !request.machine.networks.empty()))
    return fail(
        "--engine lockstep works without devices that write to memory; leave out disks, --net, --usb, "
        "--input, "
        "--console, --port, --vsock, --share and --pmem");
  request.machine.firmware.text_on_serial = request.display.kind == backend::DisplayTarget::Kind::kNone;
  if (request.machine.engine == machine::EngineChoice::kLockstep && text.machine.kernel.empty())
    return fail(
        "--engine lockstep works without firmware, which changes what is where in memory; add --kernel");
  const std::string& file = request.serial.path;
  if (same_file(file, text.machine.kernel) || same_file(file, text.machine.initrd)) {
    return fail("--serial would overwrite '{}', which the guest is loaded from; name another file", file);
  }
  for (const machine::DiskConfig& disk : request.machine.disks)
    if (same_file(request.serial.path, disk.path))
      return fail("--serial would overwrite the disk '{}'; name another file", disk.path);
  for (const machine::PmemConfig& pmem : request.machine.pmem)
    if (same_file(request.serial.path, pmem.path))
      return fail("--serial would overwrite the persistent memory '{}'; name another file", pmem.path);
  for (const machine::NetworkConfig& network : request.machine.networks)
    EIDOLON_TRY(check_capture(network.capture_path, text, request));
  for (const machine::PortConfig& port : request.machine.ports) {
    const std::string& path = port.target.path;
    if (same_file(path, text.machine.kernel) || same_file(path, text.machine.initrd) ||
        std::ranges::any_of(request.machine.disks,
                            [&](const machine::DiskConfig& disk) { return same_file(path, disk.path); }) ||
        std::ranges::any_of(request.machine.pmem,
                            [&](const machine::PmemConfig& pmem) { return same_file(path, pmem.path); }))
      return fail("a port would overwrite '{}', which the guest uses; name another file", path);
  }
  return request;
}

}  // namespace eidolon::control
