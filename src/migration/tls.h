// TLS 1.3 between two monitors, each of which proves by a certificate who it is: a migration carries the
// whole of a guest's memory, and whoever may send one decides what runs.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"

struct ssl_ctx_st;

namespace eidolon::migration {

class Tls {
 public:
  enum class Side : uint8_t { kConnects, kListens };
  /// `folder` has ca.pem (who vouches for the other side), cert.pem and key.pem (this side's).
  static Result<Tls> load(const std::string& folder, Side side);

  [[nodiscard]] ssl_ctx_st* context() const { return context_.get(); }
  [[nodiscard]] Side side() const { return side_; }

 private:
  using Context = std::unique_ptr<ssl_ctx_st, void (*)(ssl_ctx_st*)>;
  Tls(Context context, Side side) : context_(std::move(context)), side_(side) {}
  Context context_;
  Side side_;
};

/// What OpenSSL says of the last failure on this thread.
[[nodiscard]] std::string tls_reason();

}  // namespace eidolon::migration
