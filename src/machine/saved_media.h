// A machine's disks in a snapshot. What is on a disk stays there: a snapshot says which it was and when it
// was last written, so that a guest never goes on with a disk that is not as it remembers it. What was
// written to a medium that ends with the machine (,snapshot, and UEFI variables without a file) is in the
// snapshot.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "device/storage/medium.h"
#include "snapshot/file_reader.h"
#include "snapshot/file_writer.h"

namespace eidolon::machine {

/// The flash with UEFI's variables; disks are disk0, disk1 ...
inline constexpr const char* kVariablesName = "uefi-variables";

struct SavedMedium {
  std::string name;  ///< in the snapshot, and of its section
  std::string path;
  device::storage::Medium* medium;
};

/// No request is under way. Facts about the media, as they are to be when they are used again.
[[nodiscard]] Result<nlohmann::json> save_media(snapshot::FileWriter& to, std::span<const SavedMedium> media);
/// A disk that was written since is taken nevertheless if it `may_differ`.
[[nodiscard]] Result<> load_media(const snapshot::FileReader& from, const nlohmann::json& facts,
                                  std::span<const SavedMedium> media,
                                  const std::function<bool(const std::string& path)>& may_differ);

}  // namespace eidolon::machine
