#include "control/image_options.h"

#include <charconv>

#include "base/try.h"

namespace eidolon::control {

using backend::image::Format;

Result<uint64_t> parse_disk_size(std::string_view text) {
  uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, problem] = std::from_chars(text.data(), end, number);
  const std::string_view unit(rest, static_cast<size_t>(end - rest));
  constexpr std::string_view kUnits = "KMGT";
  const size_t place =
      unit.size() == 1 ? kUnits.find(static_cast<char>(std::toupper(unit[0]))) : std::string_view::npos;
  if (problem != std::errc() || (!unit.empty() && place == std::string_view::npos))
    return fail("a disk cannot have size '{}'; write one such as 512M, 10G, or a number of bytes", text);
  const unsigned shift = unit.empty() ? 0 : 10 * static_cast<unsigned>(place + 1);
  constexpr uint64_t kLimit = uint64_t{1} << 53;
  if (number == 0 || number > (kLimit >> shift) || (number << shift) % 512 != 0)
    return fail("a disk cannot have size '{}'; it takes whole sectors of 512 bytes, one to 8192T", text);
  return number << shift;
}

void ImageOptions::describe(CLI::App& app) {
  image_ = app.add_subcommand("image", "Make disk images, look at them, check and convert them");
  image_->require_subcommand(1);
  create_ =
      image_->add_subcommand("create", "Make an empty image, or one over a backing file that stays as it is");
  create_->add_option("FILE", path_, "the image to make; what is there is overwritten")->required();
  create_
      ->add_option("--size", size_, "of the disk: 10G, 512M, or bytes; as the backing file's if there is one")
      ->type_name("SIZE");
  create_->add_option("--format", format_, "qcow2 or raw")->type_name("FORMAT")->capture_default_str();
  create_
      ->add_option("--backing", backing_,
                   "what is not written is read from this image; relative to FILE's folder")
      ->type_name("IMAGE");
  create_
      ->add_option("--backing-format", backing_format_, "format of the backing file; default: as it begins")
      ->type_name("FORMAT");
  info_ = image_->add_subcommand("info", "Say what an image is");
  info_->add_option("FILE", path_, "the image, or nbd://host/export")->required();
  info_->add_option("--format", from_, "its format; default: as it begins")->type_name("FORMAT");
  info_->add_flag("--json", json_, "as JSON");
  check_ = image_->add_subcommand("check", "Look for damage in a qcow2 image's tables");
  check_->add_option("FILE", path_, "the image")->required();
  check_->add_flag("--repair", repair_, "count anew which clusters are used, if nothing else is damaged");
  convert_ = image_->add_subcommand(
      "convert", "Copy a disk into a new image, of another format or without backing files");
  convert_->add_option("SOURCE", path_, "the image to read, or nbd://host/export")->required();
  convert_->add_option("TARGET", target_, "the image to make; what is there is overwritten")->required();
  convert_->add_option("--from", from_, "format of SOURCE; default: as it begins")->type_name("FORMAT");
  convert_->add_option("--format", format_, "format of TARGET: qcow2 or raw")
      ->type_name("FORMAT")
      ->capture_default_str();
  image_->footer(R"(Exit status: 0; 1 if check found damage; 2 if the command line or a file is wrong.

Examples:
  eidolon image create --size 20G disk.qcow2
  eidolon image create --backing debian.qcow2 machine1.qcow2
  eidolon image convert appliance.vmdk disk.qcow2
  eidolon image check disk.qcow2)");
}

Result<ImageRequest> ImageOptions::read() const {
  using Action = ImageRequest::Action;
  ImageRequest request{
      .path = path_, .target = target_, .size = {}, .backing = backing_, .repair = repair_, .json = json_};
  request.action = create_->parsed()    ? Action::kCreate
                   : check_->parsed()   ? Action::kCheck
                   : convert_->parsed() ? Action::kConvert
                                        : Action::kInfo;
  request.format = EIDOLON_TRY(backend::image::parse_format(format_));
  if (request.format != Format::kQcow2 && request.format != Format::kRaw)
    return fail("images of format {} cannot be made; make qcow2 or raw", format_);
  if (!from_.empty()) request.from = EIDOLON_TRY(backend::image::parse_format(from_));
  if (!size_.empty()) request.size = EIDOLON_TRY(parse_disk_size(size_));
  if (!backing_format_.empty())
    request.backing_format = EIDOLON_TRY(backend::image::parse_format(backing_format_));
  if (!backing_.empty() && request.format == Format::kRaw)
    return fail("a raw image has no backing file; make a qcow2 image");
  if (backing_.empty() && !backing_format_.empty())
    return fail("--backing-format needs a backing file; name one with --backing");
  if (request.action == Action::kCreate && backing_.empty() && size_.empty())
    return fail("say how large the disk is to be, as --size 10G");
  return request;
}

}  // namespace eidolon::control
