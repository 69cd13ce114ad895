#include "control/share_option.h"

#include <sys/resource.h>

#include <algorithm>
#include <csignal>

#include "backend/share/share.h"
#include "base/try.h"
#include "device/virtio/fs.h"

namespace eidolon::control {

namespace {

using machine::ShareConfig;

/// The options are taken off the end, so that a folder's name may have commas in it.
Result<ShareConfig> parse_share(std::string_view text) {
  constexpr std::string_view kTag = "tag=";
  constexpr std::string_view kServed = "vhost-user:";
  ShareConfig share{.path = "", .tag = "share", .read_only = false, .served = false, .server = nullptr};
  for (size_t comma; (comma = text.rfind(',')) != std::string_view::npos; text = text.substr(0, comma)) {
    const std::string_view word = text.substr(comma + 1);
    if (word == "ro") {
      share.read_only = true;
    } else if (word.starts_with(kTag)) {
      share.tag = word.substr(kTag.size());
    } else {
      break;
    }
  }
  const auto plain = [](unsigned char c) { return c > ' ' && c != 0x7f; };
  if (share.tag.empty() || share.tag.size() > device::virtio::Fs::kLongestTag ||
      !std::ranges::all_of(share.tag, plain))
    return fail("'{}' is no tag for a shared folder; say a word of at most {} bytes, as ,tag=work", share.tag,
                device::virtio::Fs::kLongestTag);
  share.served = text.starts_with(kServed);
  if (share.served) text.remove_prefix(kServed.size());
  if (share.served && share.read_only)
    return fail("what serves a folder over vhost-user decides whether it can be changed; leave out ,ro");
  if (text.empty()) return fail("--share takes a folder, as --share /home/me/work,tag=work");
  share.path = text;
  return share;
}

/// Each file that a guest knows costs a descriptor, so as many are allowed as may be; what else the monitor
/// does has its part. Where the limit cannot be raised, the guest gets less.
backend::share::Limits make_limits(size_t shares) {
  constexpr rlim_t kMost = 1 << 20, kOwn = 256;
  backend::share::Limits limits;
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return limits;
  rlimit wanted = files;
  wanted.rlim_cur = std::min(files.rlim_max, kMost);
  if (wanted.rlim_cur > files.rlim_cur && setrlimit(RLIMIT_NOFILE, &wanted) == 0) files = wanted;
  const size_t each = (files.rlim_cur > 2 * kOwn ? files.rlim_cur - kOwn : kOwn) / shares;
  limits.nodes = std::min(limits.nodes, each * 3 / 4);
  limits.handles = std::min(limits.handles, each / 8);
  return limits;
}

}  // namespace

Result<std::vector<ShareConfig>> parse_shares(const std::vector<std::string>& texts) {
  constexpr size_t kMostShares = 8;
  if (texts.size() > kMostShares)
    return fail("there are {} of --share, and a machine has room for {}", texts.size(), kMostShares);
  std::vector<ShareConfig> shares;
  for (const std::string& text : texts) {
    ShareConfig share = EIDOLON_TRY(parse_share(text));
    if (std::ranges::find(shares, share.tag, &ShareConfig::tag) != shares.end())
      return fail("two shared folders have the tag '{}'; give one of them another with ,tag=", share.tag);
    shares.push_back(std::move(share));
  }
  return shares;
}

Result<> open_shares(std::vector<ShareConfig>& shares) {
  if (shares.empty()) return {};
  // A write beyond the limit on files' lengths (ulimit -f) is the guest's error, and not our end.
  std::signal(SIGXFSZ, SIG_IGN);
  const backend::share::Limits limits = make_limits(shares.size());
  for (ShareConfig& share : shares) {
    if (share.served) continue;
    share.server = EIDOLON_TRY(backend::share::Share::open(share.path, share.read_only, limits));
  }
  return {};
}

}  // namespace eidolon::control
