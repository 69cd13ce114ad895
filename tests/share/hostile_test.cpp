// What a hostile guest tries: to get out of the folder, to have the monitor open what blocks, to use up what
// there is, and messages that cannot be.
#include <sys/un.h>

#include <thread>

#include "share/fixture.h"

namespace eidolon::backend::share {
namespace {

namespace fs = std::filesystem;

class Hostile : public ShareTest {
 protected:
  using ShareTest::ShareTest;
  void SetUp() override {
    mount();
    std::ofstream(outside + "/secret") << "secret";
    put_file("f", "text");
  }
  int create(const std::string& name, uint32_t flags) {
    return call(FUSE_CREATE, kRoot, message(fuse_create_in{.flags = flags, .mode = 0644}, name)).error;
  }
};

TEST_F(Hostile, NamesLeadNowhereElse) {
  for (const std::string name : {"..", ".", "", "/", "/etc", "../secret", "sub/../..", "f/", "./f"}) {
    EXPECT_EQ(call(FUSE_LOOKUP, kRoot, message(name)).error, EINVAL) << name;
    EXPECT_EQ(create(name, O_RDWR), EINVAL) << name;
    EXPECT_EQ(call(FUSE_MKDIR, kRoot, message(fuse_mkdir_in{.mode = 0755}, name)).error, EINVAL) << name;
    EXPECT_EQ(call(FUSE_MKNOD, kRoot, message(fuse_mknod_in{.mode = S_IFREG}, name)).error, EINVAL) << name;
    EXPECT_EQ(call(FUSE_SYMLINK, kRoot, message(name, "x")).error, EINVAL) << name;
    EXPECT_EQ(call(FUSE_LINK, kRoot, message(fuse_link_in{.oldnodeid = lookup("f")}, name)).error, EINVAL);
    EXPECT_EQ(call(FUSE_UNLINK, kRoot, message(name)).error, EINVAL) << name;
    EXPECT_EQ(call(FUSE_RMDIR, kRoot, message(name)).error, EINVAL) << name;
    EXPECT_EQ(call(FUSE_RENAME, kRoot, message(fuse_rename_in{.newdir = kRoot}, name, "g")).error, EINVAL);
    EXPECT_EQ(call(FUSE_RENAME, kRoot, message(fuse_rename_in{.newdir = kRoot}, "f", name)).error, EINVAL);
  }
  EXPECT_EQ(call(FUSE_LOOKUP, kRoot, message(std::string(256, 'x'))).error, ENAMETOOLONG);
  EXPECT_EQ(call(FUSE_LOOKUP, kRoot, Bytes{'f'}).error, EINVAL) << "no zero behind it";
  EXPECT_EQ(call(FUSE_LOOKUP, kRoot).error, EINVAL);
  EXPECT_EQ(file("f"), "text");
}

TEST_F(Hostile, LinksAreNotFollowed) {
  fs::create_symlink(outside, folder + "/up");
  fs::create_symlink(outside + "/secret", folder + "/leak");
  fs::create_symlink("/", folder + "/slash");
  const uint64_t up = lookup("up"), leak = lookup("leak");
  EXPECT_EQ(call(FUSE_LOOKUP, up, message("secret")).error, ENOTDIR);
  EXPECT_EQ(call(FUSE_OPEN, leak, message(fuse_open_in{.flags = O_RDONLY})).error, ELOOP);
  EXPECT_EQ(call(FUSE_OPENDIR, up, message(fuse_open_in{})).error, ENOTDIR);
  EXPECT_EQ(create("leak", O_RDWR | O_TRUNC), ELOOP);
  EXPECT_EQ(call(FUSE_SETATTR, leak, message(fuse_setattr_in{.valid = FATTR_SIZE})).error, EINVAL);
  EXPECT_EQ(call(FUSE_SETATTR, leak, message(fuse_setattr_in{.valid = FATTR_MODE, .mode = 0})).error,
            EOPNOTSUPP);
  const fuse_setattr_in times{.valid = FATTR_MTIME, .mtime = 1000};
  EXPECT_EQ(call(FUSE_SETATTR, leak, message(times)).as<fuse_attr_out>().attr.mtime, 1000u);
  EXPECT_EQ(call(FUSE_ACCESS, leak, message(fuse_access_in{.mask = R_OK})).error, 0);
  struct stat status {};
  ASSERT_EQ(stat((outside + "/secret").c_str(), &status), 0);
  EXPECT_EQ(status.st_size, 6);
  EXPECT_NE(status.st_mtim.tv_sec, 1000) << "the time is the link's own";
  EXPECT_NE(status.st_mode & 0777u, 0u);
}

TEST_F(Hostile, ADirectoryThatBecomesALinkLeadsNowhere) {
  fs::create_directory(folder + "/d");
  const uint64_t directory = lookup("d");
  std::atomic<bool> over{false};
  std::thread other([&] {  // a second processor of the guest's, or a program on the host
    while (!over) {
      rename((folder + "/d").c_str(), (folder + "/away").c_str());
      (void)!symlink(outside.c_str(), (folder + "/d").c_str());
      unlink((folder + "/d").c_str());
      rename((folder + "/away").c_str(), (folder + "/d").c_str());
    }
  });
  for (int i = 0; i < 300; ++i) {
    const uint64_t found = lookup("d");
    if (found != 0) {
      EXPECT_NE(call(FUSE_LOOKUP, found, message("secret")).error, 0);
    }
    EXPECT_EQ(call(FUSE_LOOKUP, directory, message("secret")).error, ENOENT);
    EXPECT_EQ(call(FUSE_MKDIR, directory, message(fuse_mkdir_in{.mode = 0755}, "x")).error, 0);
    EXPECT_EQ(call(FUSE_RMDIR, directory, message("x")).error, 0);
  }
  over = true;
  other.join();
  EXPECT_FALSE(fs::exists(outside + "/x"));
}

TEST_F(Hostile, NothingIsOpenedThatBlocks) {
  ASSERT_EQ(call(FUSE_MKNOD, kRoot, message(fuse_mknod_in{.mode = S_IFIFO | 0644}, "pipe")).error, 0);
  EXPECT_TRUE(fs::is_fifo(folder + "/pipe"));
  for (const uint32_t flags : {O_RDONLY, O_WRONLY, O_RDWR})
    EXPECT_EQ(call(FUSE_OPEN, lookup("pipe"), message(fuse_open_in{.flags = flags})).error, ENXIO);
  EXPECT_EQ(create("pipe", O_RDONLY), ENXIO);
  EXPECT_EQ(call(FUSE_SETATTR, lookup("pipe"), message(fuse_setattr_in{.valid = FATTR_SIZE})).error, EINVAL);
  EXPECT_EQ(call(FUSE_MKNOD, kRoot, message(fuse_mknod_in{.mode = S_IFSOCK | 0644}, "socket")).error, 0);
  EXPECT_EQ(call(FUSE_OPEN, lookup("socket"), message(fuse_open_in{})).error, ENXIO);
  for (const uint32_t type : {uint32_t{S_IFCHR}, uint32_t{S_IFBLK}, uint32_t{S_IFDIR}, uint32_t{S_IFLNK}, 0u})
    EXPECT_EQ(
        call(FUSE_MKNOD, kRoot, message(fuse_mknod_in{.mode = type | 0644, .rdev = 0x103}, "dev")).error,
        EPERM);
}

TEST_F(Hostile, MessagesThatCannotBe) {
  const auto header = [](uint32_t length, uint32_t opcode = FUSE_GETATTR) {
    return message(fuse_in_header{.len = length, .opcode = opcode, .nodeid = kRoot});
  };
  EXPECT_TRUE(send(header(0)).empty());
  EXPECT_TRUE(send(header(39)).empty());
  EXPECT_TRUE(send(header(41)).empty()) << "longer than it is";
  EXPECT_TRUE(send(header(~0u)).empty());
  EXPECT_TRUE(send(Bytes(39)).empty());
  EXPECT_EQ(send(header(40)).size(), 16u + sizeof(fuse_attr_out));
  EXPECT_TRUE(send(header(40), 0).empty()) << "no room for an answer";
  EXPECT_TRUE(send(header(40), 15).empty());
  EXPECT_EQ(call(FUSE_GETATTR, kRoot, {}, 16 + 10).error, EIO);
  // Every request, cut short at every place.
  for (uint32_t opcode = 1; opcode < 52; ++opcode) {
    if (opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET || opcode == FUSE_INTERRUPT ||
        opcode == FUSE_INIT || opcode == FUSE_DESTROY)
      continue;
    for (const size_t length : {0u, 1u, 7u, 8u, 16u, 39u}) (void)call(opcode, kRoot, Bytes(length));
  }
  EXPECT_EQ(status(), 15u);
}

TEST_F(Hostile, LengthsThatCannotBe) {
  const uint64_t handle = open(lookup("f"), O_RDWR);
  Bytes bytes = message(fuse_write_in{.fh = handle, .size = 5});
  bytes.push_back('x');
  EXPECT_EQ(call(FUSE_WRITE, kRoot, bytes).error, EINVAL) << "longer than what follows";
  bytes = message(fuse_write_in{.fh = handle, .size = ~0u});
  EXPECT_EQ(call(FUSE_WRITE, kRoot, bytes).error, EINVAL);
  bytes = message(fuse_write_in{.fh = handle, .offset = ~uint64_t{0}, .size = 1});
  bytes.push_back('x');
  EXPECT_EQ(call(FUSE_WRITE, kRoot, bytes).error, EINVAL);
  EXPECT_EQ(read(handle, ~uint64_t{0}, 1).error, EINVAL);
  EXPECT_EQ(read(handle, 0, ~0u).text(), "text") << "no more than there is room for";
  const fuse_read_in all{.fh = handle, .offset = 0, .size = 100};
  EXPECT_EQ(call(FUSE_READ, kRoot, message(all), 16 + 2).text(), "te");
  EXPECT_EQ(file("f"), "text");
}

TEST_F(Hostile, BuffersOutsideMemory) {
  device::virtio::SplitDriver& driver = queues[1];
  const uint64_t handle = open(lookup("f"), O_RDWR);
  const Bytes bytes = message(fuse_in_header{.len = 80, .opcode = FUSE_READ, .unique = 1, .nodeid = kRoot},
                              fuse_read_in{.fh = handle, .size = 100});
  ASSERT_TRUE(memory->write(kRequest, bytes.data(), bytes.size()));
  driver.descriptor(0, kRequest, static_cast<uint32_t>(bytes.size()), 1, 1);
  driver.descriptor(1, kReply, 16, 3, 2);
  driver.descriptor(2, 0xfffff000, 100, 2);
  const uint16_t before = driver.used();
  driver.offer(0);
  notify(1);
  ASSERT_TRUE(wait_until([&] { return driver.used() != before; }));
  EXPECT_EQ(driver.used_length(before), 16u);
  EXPECT_EQ(driver.get<fuse_out_header>(kReply).error, -EFAULT);
  EXPECT_EQ(status(), 15u);
}

class Small : public Hostile {
 protected:
  Small() : Hostile(false, {.nodes = 5, .handles = 3}) {}
};

TEST_F(Small, ThereAreOnlySoManyFiles) {
  for (int i = 0; i < 10; ++i) put_file(std::to_string(i), "");
  int found = 0;
  for (int i = 0; i < 10; ++i) {
    const int error = call(FUSE_LOOKUP, kRoot, message(std::to_string(i))).error;
    found += error == 0 ? 1 : 0;
    if (error != 0) {
      EXPECT_EQ(error, ENFILE);
    }
  }
  EXPECT_EQ(found, 5);
  EXPECT_EQ(lookup("0"), lookup("0")) << "what it knows already costs nothing";
  EXPECT_EQ(create("new", O_RDWR), ENFILE);
  const uint64_t node = lookup("0");
  for (int i = 0; i < 3; ++i) EXPECT_NE(open(node, O_RDONLY), 0u);
  EXPECT_EQ(call(FUSE_OPEN, node, message(fuse_open_in{})).error, ENFILE);
  EXPECT_EQ(call(FUSE_OPENDIR, kRoot, message(fuse_open_in{})).error, ENFILE);
  EXPECT_EQ(call(FUSE_DESTROY, 0).error, 0);
  mount();
  EXPECT_NE(lookup("9"), 0u) << "another mount begins anew";
}

TEST(ShareFolder, HasToBeOne) {
  EXPECT_FALSE(Share::open("/nowhere/at/all", false, {}));
  const auto file = Share::open("/etc/passwd", false, {});
  ASSERT_FALSE(file);
  EXPECT_NE(file.error().message.find("--share"), std::string::npos);
}

}  // namespace
}  // namespace eidolon::backend::share
