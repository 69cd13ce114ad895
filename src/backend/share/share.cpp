#include "backend/share/share.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

namespace eidolon::backend::share {

namespace {

constexpr uint32_t kMinor = 31;        ///< the newest form of messages that is spoken here
constexpr uint32_t kOldestMinor = 23;  ///< from then on, messages are as long as they are now
constexpr uint32_t kMostBytes = 1 << 20, kPage = 4096;

/// What is used of what a kernel can do.
constexpr uint32_t kFlags = FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES | FUSE_AUTO_INVAL_DATA |
                            FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO | FUSE_ASYNC_DIO |
                            FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES;

struct Row {
  uint32_t opcode;
  Operation operation;
  bool changes;  ///< the folder: not where it is read-only
};

/// All others are answered with ENOSYS, which Linux takes for "do not ask again" (extended attributes, locks,
/// which it keeps to itself, and so on).
constexpr Row kRows[] = {{FUSE_LOOKUP, lookup, false},
                         {FUSE_FORGET, forget, false},
                         {FUSE_BATCH_FORGET, batch_forget, false},
                         {FUSE_GETATTR, get_attributes, false},
                         {FUSE_SETATTR, set_attributes, true},
                         {FUSE_READLINK, read_link, false},
                         {FUSE_SYMLINK, make_symlink, true},
                         {FUSE_MKNOD, make_node, true},
                         {FUSE_MKDIR, make_directory, true},
                         {FUSE_UNLINK, remove_file, true},
                         {FUSE_RMDIR, remove_directory, true},
                         {FUSE_RENAME, rename_plain, true},
                         {FUSE_RENAME2, rename_with_flags, true},
                         {FUSE_LINK, make_link, true},
                         {FUSE_OPEN, open_file, false},
                         {FUSE_READ, read_file, false},
                         {FUSE_WRITE, write_file, true},
                         {FUSE_STATFS, get_statistics, false},
                         {FUSE_RELEASE, release, false},
                         {FUSE_FSYNC, sync_file, false},
                         {FUSE_FLUSH, flush_file, false},
                         {FUSE_OPENDIR, open_directory, false},
                         {FUSE_READDIR, read_directory, false},
                         {FUSE_READDIRPLUS, read_directory_plus, false},
                         {FUSE_RELEASEDIR, release, false},
                         {FUSE_FSYNCDIR, sync_directory, false},
                         {FUSE_ACCESS, check_access, false},
                         {FUSE_CREATE, create_file, true},
                         {FUSE_FALLOCATE, allocate, true},
                         {FUSE_LSEEK, seek, false}};

/// Nobody waits for an answer to these.
bool has_answer(uint32_t opcode) {
  return opcode != FUSE_FORGET && opcode != FUSE_BATCH_FORGET && opcode != FUSE_INTERRUPT;
}

}  // namespace

Result<std::unique_ptr<Share>> Share::open(const std::string& folder, bool read_only, const Limits& limits) {
  FileDescriptor root(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid())
    return fail("cannot share '{}' ({}); name a folder with --share", folder, std::strerror(errno));
  const auto status = status_of(root.get());
  if (!status)
    return fail("cannot share '{}' ({}); name another folder", folder, std::strerror(status.error()));
  // Files are opened by way of it.
  if (access("/proc/self/fd", X_OK) != 0)
    return fail("a folder can be shared only where /proc is mounted, and it is not; mount it");
  return std::unique_ptr<Share>(new Share(std::move(root), *status, read_only, limits));
}

Share::Share(FileDescriptor root, const struct stat& status, bool read_only, const Limits& limits)
    : session_{.nodes = Nodes(std::move(root), status, limits.nodes),
               .handles = Handles(limits.handles),
               .read_only = read_only,
               .is_root = geteuid() == 0} {}

void Share::forget() {
  mounted_ = false;
  session_.handles.clear();
  session_.nodes.clear();
}

uint32_t Share::serve(device::virtio::FileMessage& message) {
  Request request(message);
  if (!request.whole()) return 0;  // there is nothing that an answer could be to
  const Answer<> outcome = carry_out(request);
  return has_answer(request.header().opcode) ? request.finish(outcome) : 0;
}

Answer<> Share::carry_out(Request& request) {
  const uint32_t opcode = request.header().opcode;
  if (opcode == FUSE_INIT) return begin(request);
  if (!mounted_) return refuse(EIO);
  if (opcode == FUSE_DESTROY) {
    forget();
    return {};
  }
  const auto* row = std::ranges::find(kRows, opcode, &Row::opcode);
  if (row == std::end(kRows)) return refuse(ENOSYS);
  if (row->changes && session_.read_only) return refuse(EROFS);
  return row->operation(session_, request);
}

/// A mount: what one before it knew is forgotten.
Answer<> Share::begin(Request& request) {
  const auto asked = request.take_some<fuse_init_in>();
  fuse_init_out reply{};
  reply.major = FUSE_KERNEL_VERSION;
  reply.minor = kMinor;
  if (asked.major < FUSE_KERNEL_VERSION || (asked.major == FUSE_KERNEL_VERSION && asked.minor < kOldestMinor))
    return refuse(EPROTO);
  if (asked.major == FUSE_KERNEL_VERSION) {
    forget();
    mounted_ = true;
    reply.max_readahead = asked.max_readahead;
    reply.flags = asked.flags & kFlags;
    reply.max_background = 64;
    reply.congestion_threshold = 48;
    reply.max_write = kMostBytes;
    reply.time_gran = 1;
    reply.max_pages = kMostBytes / kPage;
  }  // else the kernel asks again, in the older version that it was told
  request.answer(reply);
  return {};
}

}  // namespace eidolon::backend::share
