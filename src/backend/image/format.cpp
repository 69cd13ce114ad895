#include "backend/image/format.h"

#include <algorithm>
#include <array>

namespace eidolon::backend::image {

namespace {

struct Named {
  Format format;
  std::string_view name;
};
constexpr std::array kNames = {Named{Format::kRaw, "raw"},   Named{Format::kQcow2, "qcow2"},
                               Named{Format::kVmdk, "vmdk"}, Named{Format::kVhdx, "vhdx"},
                               Named{Format::kVdi, "vdi"},   Named{Format::kNbd, "nbd"}};

struct Magic {
  size_t at;
  std::string_view bytes;
  Format format;
};
// Formats that this program does not read are in it as well: a file that begins like one is not raw.
constexpr std::array kMagics = {Magic{0, "QFI\xfb", Format::kQcow2},
                                Magic{0, "KDMV", Format::kVmdk},
                                Magic{0, "COWD", Format::kVmdk},
                                Magic{0, "# Disk DescriptorFile", Format::kVmdk},
                                Magic{0, "vhdxfile", Format::kVhdx},
                                Magic{64, "\x7f\x10\xda\xbe", Format::kVdi},
                                Magic{0, std::string_view("QED\0", 4), Format::kUnknown},
                                Magic{0, "conectix", Format::kUnknown},
                                Magic{0, "LUKS\xba\xbe", Format::kUnknown},
                                Magic{0, "WithoutFreeSpace", Format::kUnknown},
                                Magic{0, "WithouFreSpacExt", Format::kUnknown}};

}  // namespace

std::string_view format_name(Format format) {
  for (const Named& named : kNames)
    if (named.format == format) return named.name;
  return "unknown";
}

Result<Format> parse_format(std::string_view name) {
  for (const Named& named : kNames)
    if (named.name == name) return named.format;
  return fail("'{}' is no format of disk images; name raw, qcow2, vmdk, vhdx, vdi or nbd", name);
}

Format probe(std::span<const uint8_t> sector) {
  for (const Magic& magic : kMagics) {
    if (sector.size() < magic.at + magic.bytes.size()) continue;
    const auto there = sector.subspan(magic.at, magic.bytes.size());
    if (std::equal(there.begin(), there.end(), magic.bytes.begin(),
                   [](uint8_t one, char other) { return one == static_cast<uint8_t>(other); }))
      return magic.format;
  }
  return Format::kRaw;
}

}  // namespace eidolon::backend::image
