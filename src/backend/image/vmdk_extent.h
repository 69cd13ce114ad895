// One extent of a VMware disk: what lies where in one file. Flat ones are bytes, sparse ones have grains,
// that a directory of tables leads to, and may be compressed (VMware, Virtual Disk Format 1.1).
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backend/image/file.h"
#include "backend/image/tables.h"
#include "base/result.h"

namespace eidolon::backend::image {

/// From any thread.
class VmdkPart {
 public:
  virtual ~VmdkPart() = default;
  /// Of the disk.
  [[nodiscard]] virtual uint64_t size() const = 0;
  [[nodiscard]] virtual IoResult<> read(uint64_t offset, std::span<const iovec> into) = 0;
};

/// An embedded descriptor; empty if the file has none.
Result<std::string> read_vmdk_descriptor(File& file, const std::string& name);
[[nodiscard]] std::unique_ptr<VmdkPart> make_vmdk_flat(std::unique_ptr<File> file, uint64_t offset,
                                                       uint64_t size);
[[nodiscard]] std::unique_ptr<VmdkPart> make_vmdk_zero(uint64_t size);
Result<std::unique_ptr<VmdkPart>> open_vmdk_sparse(std::unique_ptr<File> file, const std::string& name);

}  // namespace eidolon::backend::image
