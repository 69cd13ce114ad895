#include "control/machine_options.h"

#include "base/try.h"
#include "control/memory_size.h"
#include "control/topology_option.h"

namespace eidolon::control {

CLI::Option* describe_machine(CLI::App& command, MachineText& text) {
  CLI::Option* kernel = command
                            .add_option("--kernel", text.kernel,
                                        "Linux bzImage, vmlinux with a PVH note, or Multiboot 1 kernel")
                            ->type_name("FILE");
  command.add_option("--initrd", text.initrd, "initial RAM disk, or the module of a Multiboot kernel")
      ->type_name("FILE");
  command.add_option("--append", text.append, "the kernel's command line")->type_name("TEXT");
  command
      .add_option("--kernel-unpack", text.unpack,
                  "who unpacks a bzImage: host (at once; without KASLR), or guest (the kernel does)")
      ->type_name("WHO")
      ->capture_default_str();
  command.add_option("--memory", text.memory, "guest memory: 512M, 2G, or a number of MiB")
      ->type_name("SIZE")
      ->capture_default_str();
  command.add_option("--cpu", text.cpu, "processor model: host, kvm (what the host's KVM runs), x86-64-v2 or x86-64-v3")
      ->type_name("MODEL")
      ->capture_default_str();
  command
      .add_option("--cpus", text.cpus,
                  "number of processors, 1 to 64; or sockets=S,cores=C,threads=T; with N,max=M, N are there "
                  "at the start and others can be added")
      ->type_name("N")
      ->capture_default_str();
  command
      .add_option("--paravirt", text.paravirt,
                  "what an enlightened guest may use: kvm (KVM's interface), or none")
      ->type_name("WHAT")
      ->capture_default_str();
  return kernel;
}

Result<machine::MachineConfig> read_machine(const MachineText& text) {
  machine::MachineConfig config;
  config.kernel_path = text.kernel;
  if (!text.initrd.empty()) config.initrd_path = text.initrd;
  config.command_line = text.append;
  if (text.unpack != "host" && text.unpack != "guest")
    return fail("--kernel-unpack does not know '{}'; it takes host or guest", text.unpack);
  config.kernel_unpack = text.unpack == "host" ? boot::KernelUnpack::kHost : boot::KernelUnpack::kGuest;
  config.memory_bytes = EIDOLON_TRY(parse_memory_size(text.memory));
  config.cpu_model = text.cpu;
  const ProcessorsOption processors = EIDOLON_TRY(parse_processors(text.cpus));
  config.topology = processors.topology;
  config.present = processors.present;
  if (text.paravirt != "kvm" && text.paravirt != "none")
    return fail("--paravirt does not know '{}'; it takes kvm or none", text.paravirt);
  config.paravirt = text.paravirt == "kvm";
  return config;
}

}  // namespace eidolon::control
