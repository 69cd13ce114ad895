#include "backend/share/request.h"

#include <climits>

namespace eidolon::backend::share {

Answer<std::string> Request::take_text() {
  const auto* begin = reinterpret_cast<const char*>(rest_.data());
  const size_t length = rest_.empty() ? 0 : strnlen(begin, rest_.size());
  if (length == rest_.size()) return refuse(EINVAL);
  std::string text(begin, length);
  rest_ = rest_.subspan(length + 1);
  return text;
}

Answer<std::string> Request::take_name() {
  std::string name = EIDOLON_TRY(take_text());
  if (name.size() > NAME_MAX) return refuse(ENAMETOOLONG);
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos)
    return refuse(EINVAL);
  return name;
}

Answer<std::vector<iovec>> Request::take_payload(uint64_t length) const {
  const auto begin = static_cast<uint64_t>(rest_.data() - message_.copied().data());
  if (begin > header_.len || length > header_.len - begin) return refuse(EINVAL);
  std::vector<iovec> parts = message_.payload(begin, length);
  if (parts.empty() && length != 0) return refuse(EFAULT);
  return parts;
}

uint64_t Request::room() const {
  return message_.room() < sizeof(fuse_out_header) ? 0 : message_.room() - sizeof(fuse_out_header);
}

Answer<std::vector<iovec>> Request::places(uint64_t length) {
  std::vector<iovec> parts = message_.places(sizeof(fuse_out_header), length);
  if (parts.empty() && length != 0) return refuse(EFAULT);
  return parts;
}

uint32_t Request::finish(const Answer<>& outcome) {
  fuse_out_header reply{.len = sizeof(fuse_out_header), .error = 0, .unique = header_.unique};
  const uint64_t length = filled_.value_or(body_.size());
  if (!outcome) {
    reply.error = -outcome.error();
  } else if (length > room() || (!filled_ && !message_.write(sizeof reply, body_))) {
    reply.error = -EIO;
  } else {
    reply.len += static_cast<uint32_t>(length);
  }
  const auto* bytes = reinterpret_cast<const uint8_t*>(&reply);
  return message_.write(0, {bytes, sizeof reply}) ? reply.len : 0;
}

}  // namespace eidolon::backend::share
