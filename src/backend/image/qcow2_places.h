// Which clusters of an image hold its own structures. No byte of the guest's may ever be written there, and
// no structure over another, whatever the tables of a damaged or hostile image say.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <unordered_set>

#include "backend/image/file.h"
#include "backend/image/qcow2_header.h"

namespace eidolon::backend::image::qcow2 {

class Places {
 public:
  explicit Places(unsigned cluster_bits) : cluster_bits_(cluster_bits) {}
  /// False if some of it was a structure already.
  [[nodiscard]] bool add(uint64_t offset, uint64_t length);
  void remove(uint64_t offset, uint64_t length);
  [[nodiscard]] bool touched(uint64_t offset, uint64_t length) const;

 private:
  const unsigned cluster_bits_;
  std::unordered_set<uint64_t> clusters_;
};

/// What is known of an image's state, once it is open for writing.
class Health {
 public:
  using Say = std::function<void(const std::string&)>;
  Health(File& file, const Header& header, std::string name)
      : file_(file), version_(header.version), incompatible_(header.incompatible), name_(std::move(name)) {}
  /// Who is told from now on; before the image is used from several threads.
  void set_say(Say say) { say_ = std::move(say); }
  /// What was found; empty: nothing. While the image is being opened.
  [[nodiscard]] const std::string& sentence() const { return sentence_; }

  [[nodiscard]] bool corrupt() const { return corrupt_.load(std::memory_order_relaxed); }
  /// Tells the user, notes it in the image, and from now on nothing more is written. Always a failure.
  std::unexpected<device::storage::IoStatus> found_corrupt(const std::string& what);

 private:
  File& file_;
  const uint32_t version_;
  const uint64_t incompatible_;
  const std::string name_;
  Say say_;
  std::string sentence_;  ///< written once
  std::atomic<bool> corrupt_{false};
};

}  // namespace eidolon::backend::image::qcow2
