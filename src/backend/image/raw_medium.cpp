#include "backend/image/raw_medium.h"

#include "base/try.h"

namespace eidolon::backend::image {

Result<std::unique_ptr<RawMedium>> RawMedium::open(const std::string& path, bool read_only) {
  return open(EIDOLON_TRY(HostFile::open(path, read_only ? Access::kRead : Access::kWrite)));
}

Result<std::unique_ptr<RawMedium>> RawMedium::open(std::unique_ptr<HostFile> file) {
  if (file->size() == 0 || file->size() % 512 != 0)
    return fail(
        "disk '{}' has {} bytes, which is no whole number of sectors of 512; make it larger with truncate -s",
        file->path(), file->size());
  return std::unique_ptr<RawMedium>(new RawMedium(std::move(file)));
}

}  // namespace eidolon::backend::image
