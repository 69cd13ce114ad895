#include "backend/capture.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/try.h"

namespace eidolon::backend {

namespace {

constexpr uint32_t kLongest = 65535;

struct FileHeader {
  uint32_t magic = 0xa1b2c3d4;  ///< microseconds; also says which byte of a word comes first
  uint16_t major = 2;
  uint16_t minor = 4;
  std::array<uint32_t, 2> unused = {};
  uint32_t longest = kLongest;
  uint32_t link_type = 1;  ///< Ethernet
};
static_assert(sizeof(FileHeader) == 24);

struct FrameHeader {
  uint32_t seconds;
  uint32_t microseconds;
  uint32_t kept;
  uint32_t length;
};
static_assert(sizeof(FrameHeader) == 16);

template <typename Header>
std::span<const uint8_t> bytes_of(const Header& header) {
  return {reinterpret_cast<const uint8_t*>(&header), sizeof header};
}

iovec part(std::span<const uint8_t> bytes) {
  return {.iov_base = const_cast<uint8_t*>(bytes.data()), .iov_len = bytes.size()};
}

}  // namespace

Result<CaptureFile> CaptureFile::create(const std::string& path, Say say) {
  FileDescriptor fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666));
  if (!fd.valid())
    return fail("cannot write the capture '{}' ({}); name another file", path, std::strerror(errno));
  CaptureFile file(std::move(fd), path, std::move(say));
  EIDOLON_TRY(file.write(bytes_of(FileHeader{}), {}));
  return file;
}

Result<> CaptureFile::write(std::span<const uint8_t> header, std::span<const uint8_t> bytes) {
  const std::array<iovec, 2> parts = {part(header), part(bytes)};
  const size_t length = header.size() + bytes.size();
  ssize_t written;
  do {
    written = writev(file_.get(), parts.data(), parts.size());
  } while (written < 0 && errno == EINTR);
  if (written == static_cast<ssize_t>(length)) {
    length_ += length;
    return {};
  }
  const int error = written < 0 ? errno : ENOSPC;
  // A part of a frame is nobody's; a pipe cannot be cut, and its reader has seen it.
  if (ftruncate(file_.get(), static_cast<off_t>(length_)) != 0) length_ = 0;
  return fail("cannot write the capture '{}' ({}); make room, or name another file", path_,
              std::strerror(error));
}

void CaptureFile::add(std::span<const uint8_t> frame) {
  using namespace std::chrono;
  if (!file_.valid()) return;
  const auto now = duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
  const std::span<const uint8_t> kept = frame.first(std::min<size_t>(frame.size(), kLongest));
  const FrameHeader header = {.seconds = static_cast<uint32_t>(now / 1'000'000),
                              .microseconds = static_cast<uint32_t>(now % 1'000'000),
                              .kept = static_cast<uint32_t>(kept.size()),
                              .length = static_cast<uint32_t>(frame.size())};
  const Result<> done = write(bytes_of(header), kept);
  if (done) return;
  file_.reset();
  say_(fmt::format("{}; the capture has ended, and the network goes on", done.error().message));
}

void Capture::plug(device::net::Card* card) {
  network_.plug(nullptr);
  card_ = card;
  if (card != nullptr) network_.plug(this);
}

bool Capture::next_frame(std::vector<uint8_t>& frame) {
  if (!card_->next_frame(frame)) return false;
  file_.add(frame);
  return true;
}

bool Capture::receive(std::span<const uint8_t> frame) {
  if (!card_->receive(frame)) return false;
  file_.add(frame);
  return true;
}

}  // namespace eidolon::backend
