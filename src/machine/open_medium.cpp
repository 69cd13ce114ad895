#include "machine/open_medium.h"

#include "backend/image/nbd_medium.h"
#include "backend/image/open_image.h"
#include "backend/image/overlay_medium.h"
#include "backend/image/patient_medium.h"
#include "backend/image/watched_medium.h"
#include "backend/terminal.h"
#include "base/try.h"

namespace eidolon::machine {

using device::storage::Medium;

Result<std::unique_ptr<Medium>> open_medium(const DiskConfig& disk) {
  const backend::image::OpenOptions options = {
      .format = disk.format,
      .read_only = disk.access != DiskConfig::Access::kReadWrite,
      .say = [](const std::string& sentence) { backend::say("eidolon: " + sentence); }};
  std::unique_ptr<Medium> medium = EIDOLON_TRY(backend::image::open_image(disk.path, options));
  if (disk.access == DiskConfig::Access::kSnapshot)
    medium = EIDOLON_TRY(backend::image::OverlayMedium::create(std::move(medium)));
  if (!disk.error_when_full && !medium->read_only())
    medium = std::make_unique<backend::image::PatientMedium>(std::move(medium), disk.path, options.say);
  // A server's is there for whoever the machine moves to.
  const bool stays = disk.access == DiskConfig::Access::kReadWrite && !medium->read_only() &&
                     !backend::image::NbdMedium::is_uri(disk.path);
  if (stays) medium = std::make_unique<backend::image::WatchedMedium>(std::move(medium));
  return medium;
}

}  // namespace eidolon::machine
