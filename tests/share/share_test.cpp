// What a guest does in a shared folder, seen on both sides.
#include <sys/statvfs.h>

#include "share/fixture.h"

namespace eidolon::backend::share {
namespace {

namespace fs = std::filesystem;

class Mounted : public ShareTest {
 protected:
  using ShareTest::ShareTest;
  void SetUp() override { mount(); }
  /// Creates a file and leaves it open.
  Reply create(const std::string& name, uint32_t flags, uint32_t mode = 0644, uint64_t parent = kRoot) {
    return call(FUSE_CREATE, parent, message(fuse_create_in{.flags = flags, .mode = mode}, name));
  }
  static uint64_t handle_of(const Reply& created) {
    return created.as<fuse_open_out>(sizeof(fuse_entry_out)).fh;
  }
  Reply set(uint64_t node, const fuse_setattr_in& what) { return call(FUSE_SETATTR, node, message(what)); }
  uint64_t open_directory(uint64_t node) {
    const Reply reply = call(FUSE_OPENDIR, node, message(fuse_open_in{}));
    EXPECT_EQ(reply.error, 0);
    return reply.as<fuse_open_out>().fh;
  }
  Reply read_entries(uint32_t opcode, uint64_t handle, uint64_t offset, uint32_t size) {
    return call(opcode, kRoot, message(fuse_read_in{.fh = handle, .offset = offset, .size = size}));
  }
};

TEST_F(Mounted, SaysWhatItIs) {
  EXPECT_EQ(ShareTest::read(kSlot, 2, 2), 0x1040u + 26);
  std::string tag;
  for (unsigned i = 0; i < 36; ++i) tag += static_cast<char>(get_bar(kConfig + i, 1));
  EXPECT_EQ(tag, std::string("a folder") + std::string(28, '\0'));
  EXPECT_EQ(get_bar(kConfig + 36, 4), 1u);
  EXPECT_TRUE(made->in_use());
  EXPECT_FALSE(device->obstacle().empty());
  EXPECT_EQ(call(FUSE_DESTROY, 0).error, 0);
  EXPECT_TRUE(device->obstacle().empty());
  EXPECT_EQ(call(FUSE_GETATTR, kRoot, message(fuse_getattr_in{})).error, EIO);
}

TEST_F(Mounted, KernelsOfOtherVersionsAreAnswered) {
  Reply reply = call(FUSE_INIT, 0, message(fuse_init_in{.major = 8, .minor = 0}));
  EXPECT_EQ(reply.error, 0);
  EXPECT_EQ(reply.as<fuse_init_out>().major, 7u) << "it is to ask again";
  EXPECT_EQ(call(FUSE_INIT, 0, message(fuse_init_in{.major = 6, .minor = 0})).error, EPROTO);
  // As kernels before 7.36 send it.
  Bytes older =
      message(fuse_init_in{.major = 7, .minor = 31, .max_readahead = 4096, .flags = FUSE_MAX_PAGES});
  older.resize(16);
  reply = call(FUSE_INIT, 0, older);
  EXPECT_EQ(reply.error, 0);
  EXPECT_EQ(reply.as<fuse_init_out>().flags, uint32_t{FUSE_MAX_PAGES});
  EXPECT_EQ(reply.as<fuse_init_out>().max_pages, 256u);
}

TEST_F(Mounted, FindsFilesOfTheHost) {
  put_file("one", "12345");
  fs::create_directory(folder + "/sub");
  fs::create_hard_link(folder + "/one", folder + "/sub/same");
  const Reply reply = call(FUSE_LOOKUP, kRoot, message("one"));
  const auto entry = reply.as<fuse_entry_out>();
  EXPECT_EQ(entry.attr.size, 5u);
  EXPECT_EQ(entry.attr.mode & S_IFMT, mode_t{S_IFREG});
  EXPECT_EQ(entry.attr.nlink, 2u);
  EXPECT_EQ(lookup("same", lookup("sub")), entry.nodeid) << "one file is one node";
  EXPECT_EQ(call(FUSE_LOOKUP, kRoot, message("none")).error, ENOENT);
  EXPECT_EQ(call(FUSE_LOOKUP, entry.nodeid, message("x")).error, ENOTDIR);
  EXPECT_EQ(call(FUSE_LOOKUP, 999, message("x")).error, ESTALE);
  const auto attributes = call(FUSE_GETATTR, kRoot, message(fuse_getattr_in{})).as<fuse_attr_out>();
  EXPECT_EQ(attributes.attr.mode & S_IFMT, mode_t{S_IFDIR});
}

TEST_F(Mounted, WritesAndReads) {
  const Reply created = create("new", O_RDWR);
  ASSERT_EQ(created.error, 0);
  const uint64_t handle = handle_of(created);
  EXPECT_EQ(write(handle, 0, "hello, world").as<fuse_write_out>().size, 12u);
  EXPECT_EQ(write(handle, 7, "WORLD").as<fuse_write_out>().size, 5u);
  EXPECT_EQ(file("new"), "hello, WORLD");
  EXPECT_EQ(read(handle, 7, 100).text(), "WORLD");
  EXPECT_EQ(read(handle, 100, 100).text(), "");
  EXPECT_EQ(call(FUSE_FSYNC, kRoot, message(fuse_fsync_in{.fh = handle})).error, 0);
  EXPECT_EQ(call(FUSE_FLUSH, kRoot, message(fuse_flush_in{.fh = handle})).error, 0);
  EXPECT_EQ(call(FUSE_RELEASE, kRoot, message(fuse_release_in{.fh = handle})).error, 0);
  EXPECT_EQ(read(handle, 0, 100).error, EBADF);
  EXPECT_EQ(call(FUSE_FLUSH, kRoot, message(fuse_flush_in{.fh = handle})).error, EBADF);
}

TEST_F(Mounted, OpensAsItIsAskedTo) {
  put_file("f", "content");
  const uint64_t node = lookup("f");
  const uint64_t reader = open(node, O_RDONLY);
  EXPECT_EQ(write(reader, 0, "x").error, EBADF);
  const uint64_t appender = open(node, O_WRONLY | O_APPEND);
  EXPECT_EQ(read(appender, 0, 1).error, EBADF);
  EXPECT_EQ(write(appender, 0, "!").error, 0);
  EXPECT_EQ(file("f"), "content!");
  open(node, O_WRONLY | O_TRUNC);
  EXPECT_EQ(file("f"), "");
  EXPECT_EQ(call(FUSE_OPEN, kRoot, message(fuse_open_in{.flags = O_RDONLY})).error, EISDIR);
}

TEST_F(Mounted, CreateFindsWhatIsThere) {
  put_file("f", "old");
  EXPECT_EQ(create("f", O_RDWR | O_EXCL).error, EEXIST);
  const Reply opened = create("f", O_RDWR);
  ASSERT_EQ(opened.error, 0);
  EXPECT_EQ(read(handle_of(opened), 0, 10).text(), "old");
  EXPECT_EQ(opened.as<fuse_entry_out>().nodeid, lookup("f"));
  ASSERT_EQ(create("f", O_RDWR | O_TRUNC).error, 0);
  EXPECT_EQ(file("f"), "");
  fs::create_directory(folder + "/d");
  EXPECT_EQ(create("d", O_RDWR).error, EISDIR);
}

TEST_F(Mounted, PermissionsAreTheGuestsAndNotTheMonitorsMask) {
  const mode_t before = umask(077);
  ASSERT_EQ(create("f", O_RDWR, 0666).error, 0);
  ASSERT_EQ(call(FUSE_MKDIR, kRoot, message(fuse_mkdir_in{.mode = 01777}, "d")).error, 0);
  ASSERT_EQ(call(FUSE_MKNOD, kRoot, message(fuse_mknod_in{.mode = S_IFREG | 0640}, "n")).error, 0);
  umask(before);
  struct stat status {};
  ASSERT_EQ(lstat((folder + "/f").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777u, 0666u);
  if (geteuid() == 0) {
    EXPECT_EQ(status.st_uid, 1234u);
    EXPECT_EQ(status.st_gid, 4321u);
  }
  ASSERT_EQ(lstat((folder + "/d").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777u, 01777u);
  ASSERT_EQ(lstat((folder + "/n").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777u, 0640u);
}

TEST_F(Mounted, ChangesAttributes) {
  put_file("f", "0123456789");
  const uint64_t node = lookup("f");
  Reply reply = set(node, {.valid = FATTR_MODE | FATTR_SIZE, .size = 4, .mode = 04711});
  EXPECT_EQ(reply.as<fuse_attr_out>().attr.mode & 07777, 04711u);
  EXPECT_EQ(file("f"), "0123");
  reply = set(node, {.valid = FATTR_ATIME | FATTR_MTIME, .atime = 1000, .mtime = 2000, .mtimensec = 5});
  EXPECT_EQ(reply.as<fuse_attr_out>().attr.atime, 1000u);
  EXPECT_EQ(reply.as<fuse_attr_out>().attr.mtime, 2000u);
  EXPECT_EQ(reply.as<fuse_attr_out>().attr.mtimensec, 5u);
  reply = set(node, {.valid = FATTR_MTIME | FATTR_MTIME_NOW});
  EXPECT_EQ(reply.as<fuse_attr_out>().attr.atime, 1000u);
  EXPECT_GT(reply.as<fuse_attr_out>().attr.mtime, 1'000'000'000u);
  const uint64_t handle = open(node, O_RDWR);
  EXPECT_EQ(set(node, {.valid = FATTR_SIZE | FATTR_FH, .fh = handle, .size = 2}).error, 0);
  EXPECT_EQ(file("f"), "01");
  EXPECT_EQ(set(node, {.valid = FATTR_SIZE | FATTR_FH, .fh = 999, .size = 2}).error, EBADF);
  EXPECT_EQ(set(node, {.valid = FATTR_SIZE, .size = ~uint64_t{0}}).error, EFBIG);
  EXPECT_EQ(set(kRoot, {.valid = FATTR_SIZE, .size = 0}).error, EISDIR);
  EXPECT_EQ(set(node, {.valid = FATTR_UID | FATTR_GID, .uid = getuid(), .gid = getgid()}).error, 0);
}

TEST_F(Mounted, LinksOfBothKinds) {
  put_file("f", "text");
  ASSERT_EQ(call(FUSE_SYMLINK, kRoot, message("link", "/etc/passwd")).error, 0);
  EXPECT_EQ(fs::read_symlink(folder + "/link"), "/etc/passwd");
  const uint64_t link = lookup("link");
  EXPECT_EQ(call(FUSE_READLINK, link).text(), "/etc/passwd");
  EXPECT_EQ(call(FUSE_READLINK, lookup("f")).error, EINVAL);
  ASSERT_EQ(call(FUSE_LINK, kRoot, message(fuse_link_in{.oldnodeid = lookup("f")}, "hard")).error, 0);
  EXPECT_EQ(fs::hard_link_count(folder + "/f"), 2u);
  EXPECT_EQ(lookup("hard"), lookup("f"));
  ASSERT_EQ(call(FUSE_LINK, kRoot, message(fuse_link_in{.oldnodeid = link}, "other")).error, 0);
  EXPECT_EQ(fs::read_symlink(folder + "/other"), "/etc/passwd") << "the link, not what it leads to";
  EXPECT_EQ(call(FUSE_LINK, kRoot, message(fuse_link_in{.oldnodeid = kRoot}, "loop")).error, EPERM);
}

TEST_F(Mounted, RenamesAndRemoves) {
  put_file("a", "A");
  put_file("b", "B");
  ASSERT_EQ(call(FUSE_MKDIR, kRoot, message(fuse_mkdir_in{.mode = 0755}, "d")).error, 0);
  const uint64_t directory = lookup("d");
  EXPECT_EQ(call(FUSE_RENAME, kRoot, message(fuse_rename_in{.newdir = directory}, "a", "c")).error, 0);
  EXPECT_EQ(file("d/c"), "A");
  const auto flags = [&](uint32_t value) { return fuse_rename2_in{.newdir = directory, .flags = value}; };
  EXPECT_EQ(call(FUSE_RENAME2, kRoot, message(flags(RENAME_NOREPLACE), "b", "c")).error, EEXIST);
  EXPECT_EQ(call(FUSE_RENAME2, kRoot, message(flags(RENAME_EXCHANGE), "b", "c")).error, 0);
  EXPECT_EQ(file("b"), "A");
  EXPECT_EQ(file("d/c"), "B");
  EXPECT_EQ(call(FUSE_RENAME2, kRoot, message(flags(RENAME_WHITEOUT), "b", "c")).error, EINVAL);
  EXPECT_EQ(call(FUSE_RMDIR, kRoot, message("d")).error, ENOTEMPTY);
  EXPECT_EQ(call(FUSE_UNLINK, directory, message("c")).error, 0);
  EXPECT_EQ(call(FUSE_RMDIR, kRoot, message("d")).error, 0);
  EXPECT_FALSE(exists("d"));
}

TEST_F(Mounted, ARemovedFileIsThereAsLongAsItIsKnown) {
  put_file("f", "still here");
  const uint64_t node = lookup("f");
  EXPECT_EQ(call(FUSE_UNLINK, kRoot, message("f")).error, 0);
  EXPECT_EQ(read(open(node, O_RDONLY), 0, 100).text(), "still here");
  // Once told, twice told.
  put_file("g", "");
  const uint64_t other = lookup("g");
  EXPECT_EQ(lookup("g"), other);
  const auto forget = [&](uint64_t times) {
    const Bytes bytes =
        message(fuse_in_header{.len = 48, .opcode = FUSE_FORGET, .unique = 1, .nodeid = other}, times);
    EXPECT_TRUE(send(bytes, 0, 0).empty()) << "nobody waits for an answer";
  };
  forget(1);
  EXPECT_EQ(call(FUSE_GETATTR, other, message(fuse_getattr_in{})).error, 0);
  forget(100);
  EXPECT_EQ(call(FUSE_GETATTR, other, message(fuse_getattr_in{})).error, ESTALE);
}

TEST_F(Mounted, ManyAreForgottenAtOnce) {
  put_file("a", "");
  put_file("b", "");
  const fuse_forget_one a{.nodeid = lookup("a"), .nlookup = 1}, b{.nodeid = lookup("b"), .nlookup = 1};
  const auto batch = [&](uint32_t count) {
    Bytes rest = message(fuse_batch_forget_in{.count = count}, a, b);
    Bytes all =
        message(fuse_in_header{.len = static_cast<uint32_t>(40 + rest.size()), .opcode = FUSE_BATCH_FORGET});
    all.insert(all.end(), rest.begin(), rest.end());
    EXPECT_TRUE(send(all, 0, 0).empty());
  };
  batch(~0u);
  EXPECT_EQ(call(FUSE_GETATTR, a.nodeid, message(fuse_getattr_in{})).error, ESTALE);
  EXPECT_EQ(call(FUSE_GETATTR, b.nodeid, message(fuse_getattr_in{})).error, ESTALE);
}

TEST_F(Mounted, ReadsDirectories) {
  for (int i = 0; i < 300; ++i) put_file("file-" + std::to_string(i), "");
  const uint64_t handle = open_directory(kRoot);
  std::set<std::string> names;
  uint64_t offset = 0;
  for (;;) {
    const Reply reply = read_entries(FUSE_READDIR, handle, offset, 1000);
    ASSERT_EQ(reply.error, 0);
    if (reply.body.empty()) break;
    for (size_t at = 0; at < reply.body.size();) {
      const auto head = reply.as<fuse_dirent>(at);
      names.insert(reply.text().substr(at + FUSE_NAME_OFFSET, head.namelen));
      offset = head.off;
      at += FUSE_REC_ALIGN(FUSE_NAME_OFFSET + head.namelen);
    }
  }
  EXPECT_EQ(names.size(), 302u);
  EXPECT_TRUE(names.contains("file-299") && names.contains(".."));
  // What is new is seen by who begins again; any place may be asked for.
  put_file("later", "");
  EXPECT_NE(read_entries(FUSE_READDIR, handle, 0, 60000).text().find("later"), std::string::npos);
  EXPECT_EQ(read_entries(FUSE_READDIR, handle, 12345, 1000).error, 0);
  EXPECT_EQ(read_entries(FUSE_READDIR, handle, ~uint64_t{0}, 1000).error, EINVAL);
  EXPECT_EQ(read_entries(FUSE_READDIR, handle, 0, 3).error, EINVAL);
  EXPECT_EQ(call(FUSE_FSYNCDIR, kRoot, message(fuse_fsync_in{.fh = handle})).error, 0);
  EXPECT_EQ(read(handle, 0, 10).error, EBADF) << "it is no file";
  EXPECT_EQ(call(FUSE_RELEASEDIR, kRoot, message(fuse_release_in{.fh = handle})).error, 0);
  EXPECT_EQ(read_entries(FUSE_READDIR, handle, 0, 1000).error, EBADF);
}

TEST_F(Mounted, ReadsDirectoriesWithWhatIsInThem) {
  put_file("f", "12345");
  const Reply reply = read_entries(FUSE_READDIRPLUS, open_directory(kRoot), 0, 60000);
  ASSERT_EQ(reply.error, 0);
  unsigned told = 0;
  for (size_t at = 0; at < reply.body.size();) {
    const auto entry = reply.as<fuse_entry_out>(at);
    const auto head = reply.as<fuse_dirent>(at + sizeof entry);
    const std::string name = reply.text().substr(at + sizeof entry + FUSE_NAME_OFFSET, head.namelen);
    if (name == "f") {
      EXPECT_EQ(entry.attr.size, 5u);
      EXPECT_EQ(entry.nodeid, lookup("f"));
      ++told;
    } else {
      EXPECT_EQ(entry.nodeid, 0u) << name;
    }
    at += sizeof entry + FUSE_REC_ALIGN(FUSE_NAME_OFFSET + head.namelen);
  }
  EXPECT_EQ(told, 1u);
}

TEST_F(Mounted, AllocatesAndFindsHoles) {
  const uint64_t handle = handle_of(create("f", O_RDWR));
  const auto allocate = [&](uint32_t mode, uint64_t offset, uint64_t length) {
    return call(FUSE_FALLOCATE, kRoot,
                message(fuse_fallocate_in{.fh = handle, .offset = offset, .length = length, .mode = mode}))
        .error;
  };
  EXPECT_EQ(allocate(0, 0, 1 << 20), 0);
  EXPECT_EQ(fs::file_size(folder + "/f"), 1u << 20);
  EXPECT_EQ(allocate(0, ~uint64_t{0}, 1), EINVAL);
  EXPECT_EQ(allocate(0x80, 0, 4096), EOPNOTSUPP);
  EXPECT_EQ(set(lookup("f"), {.valid = FATTR_SIZE, .size = 0}).error, 0);
  EXPECT_EQ(set(lookup("f"), {.valid = FATTR_SIZE, .size = 1 << 20}).error, 0);
  EXPECT_EQ(write(handle, 512 << 10, "x").error, 0);
  const auto seek = [&](uint64_t offset, uint32_t whence) {
    return call(FUSE_LSEEK, kRoot, message(fuse_lseek_in{.fh = handle, .offset = offset, .whence = whence}));
  };
  EXPECT_EQ(seek(0, SEEK_HOLE).as<fuse_lseek_out>().offset, 0u);
  EXPECT_EQ(seek(512 << 10, SEEK_DATA).as<fuse_lseek_out>().offset, 512u << 10);
  EXPECT_EQ(seek(0, SEEK_END).error, EINVAL);
}

TEST_F(Mounted, SaysHowMuchRoomThereIs) {
  struct statvfs found {};
  ASSERT_EQ(statvfs(folder.c_str(), &found), 0);
  EXPECT_EQ(call(FUSE_STATFS, kRoot).as<fuse_statfs_out>().st.blocks, found.f_blocks);
  EXPECT_EQ(call(FUSE_ACCESS, kRoot, message(fuse_access_in{.mask = R_OK | X_OK})).error, 0);
}

TEST_F(Mounted, WhatIsNotThereIsSaid) {
  for (const uint32_t opcode : {uint32_t{FUSE_SETXATTR}, uint32_t{FUSE_GETXATTR}, uint32_t{FUSE_GETLK},
                                uint32_t{FUSE_IOCTL}, uint32_t{FUSE_TMPFILE}, 0u, 3000u, ~0u})
    EXPECT_EQ(call(opcode, kRoot).error, ENOSYS) << opcode;
}

TEST_F(Mounted, AResetForgetsEverything) {
  put_file("f", "text");
  lookup("f");
  set_bar(0x14, 1, 0);
  EXPECT_FALSE(made->in_use());
}

class ReadOnly : public Mounted {
 protected:
  ReadOnly() : Mounted(true) {}
};

TEST_F(ReadOnly, NothingChanges) {
  put_file("f", "text");
  const uint64_t node = lookup("f");
  EXPECT_EQ(read(open(node, O_RDONLY), 0, 10).text(), "text");
  for (const uint32_t flags : {O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC})
    EXPECT_EQ(call(FUSE_OPEN, node, message(fuse_open_in{.flags = flags})).error, EROFS);
  EXPECT_EQ(create("n", O_RDWR).error, EROFS);
  EXPECT_EQ(create("f", O_RDONLY).error, EROFS);
  EXPECT_EQ(set(node, {.valid = FATTR_MODE, .mode = 0}).error, EROFS);
  EXPECT_EQ(call(FUSE_MKDIR, kRoot, message(fuse_mkdir_in{.mode = 0755}, "d")).error, EROFS);
  EXPECT_EQ(call(FUSE_MKNOD, kRoot, message(fuse_mknod_in{.mode = S_IFREG}, "n")).error, EROFS);
  EXPECT_EQ(call(FUSE_SYMLINK, kRoot, message("l", "f")).error, EROFS);
  EXPECT_EQ(call(FUSE_LINK, kRoot, message(fuse_link_in{.oldnodeid = node}, "l")).error, EROFS);
  EXPECT_EQ(call(FUSE_RENAME, kRoot, message(fuse_rename_in{.newdir = kRoot}, "f", "g")).error, EROFS);
  EXPECT_EQ(call(FUSE_RENAME2, kRoot, message(fuse_rename2_in{.newdir = kRoot}, "f", "g")).error, EROFS);
  EXPECT_EQ(call(FUSE_UNLINK, kRoot, message("f")).error, EROFS);
  EXPECT_EQ(call(FUSE_RMDIR, kRoot, message("f")).error, EROFS);
  EXPECT_EQ(write(open(node, O_RDONLY), 0, "x").error, EROFS);
  EXPECT_EQ(call(FUSE_FALLOCATE, kRoot, message(fuse_fallocate_in{})).error, EROFS);
  EXPECT_EQ(call(FUSE_ACCESS, node, message(fuse_access_in{.mask = W_OK})).error, EROFS);
  EXPECT_EQ(file("f"), "text");
}

}  // namespace
}  // namespace eidolon::backend::share
