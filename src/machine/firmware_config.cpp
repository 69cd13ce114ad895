#include "machine/firmware_config.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <ranges>

#include "backend/image/overlay_medium.h"
#include "backend/image/raw_medium.h"
#include "backend/image/watched_medium.h"
#include "base/try.h"
#include "boot/read_file.h"
#include "device/chipset/fw_cfg.h"

namespace eidolon::machine {

namespace {

// Where Debian's packages seabios and ovmf have them.
constexpr const char* kBios = "/usr/share/seabios/bios-256k.bin";
constexpr const char* kUefi = "/usr/share/OVMF/OVMF_CODE_4M.fd";
constexpr const char* kUefiVariables = "/usr/share/OVMF/OVMF_VARS_4M.fd";

constexpr uint64_t kMostItem = uint64_t{64} << 20;

std::optional<BootDevice> boot_device(std::string_view word) {
  if (word == "disk" || word == "c") return BootDevice::kDisk;
  if (word == "cdrom" || word == "d") return BootDevice::kCdrom;
  if (word == "floppy" || word == "a") return BootDevice::kFloppy;
  if (word == "net" || word == "n") return BootDevice::kNetwork;
  return std::nullopt;
}

}  // namespace

Result<std::vector<BootDevice>> parse_boot_order(const std::string& text) {
  std::vector<std::string> words;
  for (const auto part : std::views::split(text, ',')) words.emplace_back(part.begin(), part.end());
  if (words.size() == 1 && !boot_device(words[0])) {  // letters
    words.clear();
    for (const char letter : text) words.emplace_back(1, letter);
  }
  std::vector<BootDevice> order;
  for (const std::string& word : words) {
    const auto device = boot_device(word);
    if (!device || std::ranges::find(order, *device) != order.end())
      return fail("--boot does not take '{}'; it takes disk, cdrom, floppy and net, in the order wanted",
                  text);
    order.push_back(*device);
  }
  return order;
}

Result<FwCfgItem> parse_fw_cfg_item(const std::string& text) {
  constexpr std::string_view kName = "name=", kFile = ",file=", kString = ",string=";
  const size_t file = text.find(kFile), string = text.find(kString);
  const size_t end = std::min(file, string);
  if (!text.starts_with(kName) || end == std::string::npos)
    return fail("--fw-cfg does not take '{}'; it takes name=NAME,file=PATH or name=NAME,string=TEXT", text);
  FwCfgItem item{.name = text.substr(kName.size(), end - kName.size()), .bytes = {}};
  if (item.name.empty() || item.name.size() > device::FwCfg::kLongestName)
    return fail("the name of --fw-cfg '{}' has {} characters; use 1 to {}", text, item.name.size(),
                device::FwCfg::kLongestName);
  if (file < string) {
    item.bytes =
        EIDOLON_TRY(boot::read_file(text.substr(file + kFile.size()), "file for --fw-cfg", kMostItem));
  } else {
    const std::string value = text.substr(string + kString.size());
    item.bytes.assign(value.begin(), value.end());
  }
  return item;
}

FirmwareConfig find_firmware(const std::string& text) {
  FirmwareConfig config;
  config.rom_path = text == "bios" ? kBios : text == "uefi" ? kUefi : text;
  if (text == "uefi") config.variables_template = kUefiVariables;
  return config;
}

namespace {

Result<> copy_template(const FirmwareConfig& config) {
  std::error_code error;
  if (std::filesystem::exists(config.variables_path, error)) return {};
  if (config.variables_template.empty())
    return fail("cannot find the variable store '{}'; name a file that fits this firmware",
                config.variables_path);
  // Under another name first: a copy that was cut short is no variable store.
  const std::string unfinished = config.variables_path + ".new";
  std::filesystem::copy_file(config.variables_template, unfinished,
                             std::filesystem::copy_options::overwrite_existing, error);
  if (!error) std::filesystem::permissions(unfinished, std::filesystem::perms(0600), error);
  if (!error) std::filesystem::rename(unfinished, config.variables_path, error);
  if (error)
    return fail("cannot make the variable store '{}' from '{}' ({}); name a file that can be written",
                config.variables_path, config.variables_template, error.message());
  return {};
}

}  // namespace

Result<> open_variables(FirmwareConfig& config) {
  using backend::image::RawMedium;
  if (config.variables_template.empty() && config.variables_path.empty()) return {};
  if (!config.variables_path.empty()) {
    EIDOLON_TRY(copy_template(config));
    auto file = EIDOLON_TRY(RawMedium::open(config.variables_path, false));
    config.variables = std::make_shared<backend::image::WatchedMedium>(std::move(file));  // it can move
    return {};
  }
  auto base = RawMedium::open(config.variables_template, true);
  if (!base)
    return fail(
        "cannot open UEFI's variables '{}'; install the package ovmf, or name a file with --uefi-vars",
        config.variables_template);
  config.variables = EIDOLON_TRY(backend::image::OverlayMedium::create(*std::move(base)));
  return {};
}

}  // namespace eidolon::machine
