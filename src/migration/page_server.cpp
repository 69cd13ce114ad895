#include "migration/page_server.h"

#include <cstring>
#include <utility>

#include "base/try.h"

namespace eidolon::migration {

namespace {
/// Short, for what somebody waits for comes behind them.
constexpr unsigned kPagesAtOnce = 16;
}  // namespace

PageServer::PageServer(Connection& to, Bytes memory, PageSet missing)
    : to_(to), sender_(to, memory), missing_(std::move(missing)) {}

Result<> PageServer::serve_until(Kind kind, Stream stream, int patience_seconds) {
  for (;;) {
    if (stream == Stream::kAll && !missing_.empty() && !to_.readable()) {
      EIDOLON_TRY(send_next());
      continue;
    }
    const Message message = EIDOLON_TRY(receive_message(to_, patience_seconds));
    if (message.kind == kind) return {};
    if (message.kind == Kind::kWanted)
      EIDOLON_TRY(send_wanted(message.payload));
    else
      return std::unexpected(unexpected_message(message));
  }
}

Result<> PageServer::send_next() {
  for (unsigned count = 0; count < kPagesAtOnce; ++count) {
    const auto page = missing_.next(next_);
    if (!page) break;
    missing_.remove(*page);
    next_ = *page + 1;
    EIDOLON_TRY(sender_.add(*page, PageSender::Zeros::kTell));
  }
  EIDOLON_TRY(sender_.flush());
  if (observer_) observer_();
  return {};
}

Result<> PageServer::send_wanted(Bytes payload) {
  if (payload.size() % sizeof(uint64_t) != 0)
    return fail("the other side wants pages that this machine does not have");
  for (; !payload.empty(); payload = payload.subspan(sizeof(uint64_t))) {
    uint64_t page = 0;
    std::memcpy(&page, payload.data(), sizeof page);
    ++waits_;
    // What has been sent is on its way; what never was missing is none of its.
    if (!missing_.remove(page)) continue;
    EIDOLON_TRY(sender_.add(page, PageSender::Zeros::kTell));
    next_ = page + 1;
  }
  return sender_.flush();
}

}  // namespace eidolon::migration
