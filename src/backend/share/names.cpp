// Requests about names in directories.
#include <fcntl.h>
#include <unistd.h>

#include "backend/share/session.h"

namespace eidolon::backend::share {

Answer<> lookup(Session& session, Request& request) {
  const NodePointer parent = EIDOLON_TRY(session.nodes.directory(request.header().nodeid));
  const std::string name = EIDOLON_TRY(request.take_name());
  request.answer(EIDOLON_TRY(find_entry(session, parent->fd.get(), name)));
  return {};
}

Answer<> forget(Session& session, Request& request) {
  const auto what = EIDOLON_TRY(request.take<fuse_forget_in>());
  session.nodes.forget(request.header().nodeid, what.nlookup);
  return {};
}

Answer<> batch_forget(Session& session, Request& request) {
  const auto head = EIDOLON_TRY(request.take<fuse_batch_forget_in>());
  for (uint32_t i = 0; i < head.count; ++i) {
    const auto one = EIDOLON_TRY(request.take<fuse_forget_one>());
    session.nodes.forget(one.nodeid, one.nlookup);
  }
  return {};
}

/// No devices: the host's are not the guest's, and its own need no file here.
Answer<> make_node(Session& session, Request& request) {
  const NodePointer parent = EIDOLON_TRY(session.nodes.directory(request.header().nodeid));
  const auto what = EIDOLON_TRY(request.take<fuse_mknod_in>());
  const std::string name = EIDOLON_TRY(request.take_name());
  const mode_t type = what.mode & S_IFMT;
  if (type != S_IFREG && type != S_IFIFO && type != S_IFSOCK) return refuse(EPERM);
  EIDOLON_TRY(done(mknodat(parent->fd.get(), name.c_str(), type | (what.mode & 07777), 0)));
  request.answer(EIDOLON_TRY(made_entry(session, request, parent->fd.get(), name, what.mode)));
  return {};
}

Answer<> make_directory(Session& session, Request& request) {
  const NodePointer parent = EIDOLON_TRY(session.nodes.directory(request.header().nodeid));
  const auto what = EIDOLON_TRY(request.take<fuse_mkdir_in>());
  const std::string name = EIDOLON_TRY(request.take_name());
  EIDOLON_TRY(done(mkdirat(parent->fd.get(), name.c_str(), what.mode & 07777)));
  request.answer(EIDOLON_TRY(made_entry(session, request, parent->fd.get(), name, what.mode)));
  return {};
}

/// Where it leads is the reader's matter: here no link is ever followed.
Answer<> make_symlink(Session& session, Request& request) {
  const NodePointer parent = EIDOLON_TRY(session.nodes.directory(request.header().nodeid));
  const std::string name = EIDOLON_TRY(request.take_name());
  const std::string target = EIDOLON_TRY(request.take_text());
  EIDOLON_TRY(done(symlinkat(target.c_str(), parent->fd.get(), name.c_str())));
  request.answer(EIDOLON_TRY(made_entry(session, request, parent->fd.get(), name, 0)));
  return {};
}

Answer<> make_link(Session& session, Request& request) {
  const NodePointer parent = EIDOLON_TRY(session.nodes.directory(request.header().nodeid));
  const auto what = EIDOLON_TRY(request.take<fuse_link_in>());
  const std::string name = EIDOLON_TRY(request.take_name());
  const NodePointer file = EIDOLON_TRY(session.nodes.find(what.oldnodeid));
  if (file->type == S_IFDIR) return refuse(EPERM);
  // The path is one of the kernel's, to the file itself: what it is, a link too, is what gets another name.
  EIDOLON_TRY(
      done(linkat(AT_FDCWD, file->path().c_str(), parent->fd.get(), name.c_str(), AT_SYMLINK_FOLLOW)));
  request.answer(EIDOLON_TRY(find_entry(session, parent->fd.get(), name)));
  return {};
}

namespace {

Answer<> remove(Session& session, Request& request, int flags) {
  const NodePointer parent = EIDOLON_TRY(session.nodes.directory(request.header().nodeid));
  const std::string name = EIDOLON_TRY(request.take_name());
  return done(unlinkat(parent->fd.get(), name.c_str(), flags));
}

Answer<> rename(Session& session, Request& request, uint64_t to_node, unsigned flags) {
  const NodePointer from = EIDOLON_TRY(session.nodes.directory(request.header().nodeid));
  const NodePointer to = EIDOLON_TRY(session.nodes.directory(to_node));
  const std::string name = EIDOLON_TRY(request.take_name());
  const std::string new_name = EIDOLON_TRY(request.take_name());
  if ((flags & ~unsigned{RENAME_NOREPLACE | RENAME_EXCHANGE}) != 0) return refuse(EINVAL);
  return done(renameat2(from->fd.get(), name.c_str(), to->fd.get(), new_name.c_str(), flags));
}

}  // namespace

Answer<> remove_file(Session& session, Request& request) { return remove(session, request, 0); }
Answer<> remove_directory(Session& session, Request& request) {
  return remove(session, request, AT_REMOVEDIR);
}

Answer<> rename_plain(Session& session, Request& request) {
  const auto what = EIDOLON_TRY(request.take<fuse_rename_in>());
  return rename(session, request, what.newdir, 0);
}

Answer<> rename_with_flags(Session& session, Request& request) {
  const auto what = EIDOLON_TRY(request.take<fuse_rename2_in>());
  return rename(session, request, what.newdir, what.flags);
}

}  // namespace eidolon::backend::share
