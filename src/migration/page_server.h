// The source of a migration whose memory follows later: the guest stands here and runs, or is about to, on
// the other side. Pages that somebody waits for there go first, and then those behind them.
#pragma once

#include <cstdint>
#include <functional>

#include "base/result.h"
#include "migration/connection.h"
#include "migration/message.h"
#include "migration/page_set.h"
#include "migration/pages.h"

namespace eidolon::migration {

class PageServer {
 public:
  /// `memory` does not change any more.
  PageServer(Connection& to, Bytes memory, PageSet missing);

  enum class Stream : uint8_t { kWanted, kAll };
  /// Until the other side says `kind`; a refusal's sentence is the error.
  Result<> serve_until(Kind kind, Stream stream, int patience_seconds);
  /// Called now and then while pages go.
  void set_observer(std::function<void()> observer) { observer_ = std::move(observer); }
  [[nodiscard]] uint64_t left() const { return missing_.size(); }
  [[nodiscard]] uint64_t sent_bytes() const { return sender_.sent_bytes(); }
  /// How often somebody waited.
  [[nodiscard]] uint64_t waits() const { return waits_; }

 private:
  Result<> send_next();
  Result<> send_wanted(Bytes payload);

  Connection& to_;
  PageSender sender_;
  PageSet missing_;
  uint64_t next_ = 0;  ///< where the stream goes on
  uint64_t waits_ = 0;
  std::function<void()> observer_;
};

}  // namespace eidolon::migration
