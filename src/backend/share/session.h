// What a guest's mount of a shared folder consists of, and what is done for it: the operations, each of which
// carries out one kind of request. The guest is hostile; the folder's files are all that it reaches.
//
// Nothing is found but by a directory's own descriptor and one name in it, and never through a symbolic link.
// Nothing is opened but regular files and directories, so that nothing blocks and no device is touched.
#pragma once

#include "backend/share/handles.h"
#include "backend/share/nodes.h"

namespace eidolon::backend::share {

struct Session {
  Nodes nodes;
  Handles handles;
  bool read_only;
  bool is_root;  ///< the monitor is: then what the guest makes belongs to who makes it there
};

using Operation = Answer<> (*)(Session&, Request&);

// share/names.cpp
Answer<> lookup(Session& session, Request& request);
Answer<> forget(Session& session, Request& request);
Answer<> batch_forget(Session& session, Request& request);
Answer<> make_node(Session& session, Request& request);
Answer<> make_directory(Session& session, Request& request);
Answer<> make_symlink(Session& session, Request& request);
Answer<> make_link(Session& session, Request& request);
Answer<> remove_file(Session& session, Request& request);
Answer<> remove_directory(Session& session, Request& request);
Answer<> rename_plain(Session& session, Request& request);
Answer<> rename_with_flags(Session& session, Request& request);
// share/attributes.cpp
Answer<> get_attributes(Session& session, Request& request);
Answer<> set_attributes(Session& session, Request& request);
Answer<> read_link(Session& session, Request& request);
Answer<> check_access(Session& session, Request& request);
Answer<> get_statistics(Session& session, Request& request);
// share/files.cpp
Answer<> open_file(Session& session, Request& request);
Answer<> create_file(Session& session, Request& request);
Answer<> read_file(Session& session, Request& request);
Answer<> write_file(Session& session, Request& request);
Answer<> flush_file(Session& session, Request& request);
Answer<> sync_file(Session& session, Request& request);
Answer<> allocate(Session& session, Request& request);
Answer<> seek(Session& session, Request& request);
Answer<> release(Session& session, Request& request);
// share/directories.cpp
Answer<> open_directory(Session& session, Request& request);
Answer<> read_directory(Session& session, Request& request);
Answer<> read_directory_plus(Session& session, Request& request);
Answer<> sync_directory(Session& session, Request& request);

// What they share: share/entries.cpp
/// What is called `name` in the directory: told to the guest once more.
[[nodiscard]] Answer<fuse_entry_out> find_entry(Session& session, int directory, const std::string& name);
/// The same of a file that is open.
[[nodiscard]] Answer<fuse_entry_out> find_open(Session& session, int fd);
/// The same of what has just been made there, which now belongs to its maker and has the permissions that it
/// asked for.
[[nodiscard]] Answer<fuse_entry_out> made_entry(Session& session, const Request& request, int directory,
                                                const std::string& name, mode_t mode);
[[nodiscard]] Answer<> give_to_maker(const Session& session, const Request& request, int fd, mode_t mode);
[[nodiscard]] Answer<struct stat> status_of(int fd);
[[nodiscard]] fuse_attr attributes_of(const struct stat& status);
[[nodiscard]] fuse_attr_out attributes_reply(const struct stat& status);
/// Without following it if it is a link.
[[nodiscard]] Answer<FileDescriptor> open_entry(int directory, const std::string& name);
/// A regular file's or a directory's bytes.
[[nodiscard]] Answer<FileDescriptor> open_node(const Node& node, int flags);
[[nodiscard]] Answer<> done(int result);

}  // namespace eidolon::backend::share
