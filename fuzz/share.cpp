// A hostile guest's FUSE messages to a shared folder. What is beside the folder must stay as it is.
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "backend/share/share.h"
#include "base/assert.h"
#include "input.h"

namespace {

using namespace eidolon;
using namespace eidolon::backend::share;
using fuzz::InputBytes;
namespace fs = std::filesystem;

class Message final : public device::virtio::FileMessage {
 public:
  Message(std::vector<uint8_t> request, size_t room) : request_(std::move(request)), room_(room) {}
  [[nodiscard]] std::span<const uint8_t> copied() const override {
    return std::span(request_).first(std::min<size_t>(request_.size(), kMostCopied));
  }
  [[nodiscard]] uint64_t length() const override { return request_.size(); }
  [[nodiscard]] std::vector<iovec> payload(uint64_t offset, uint64_t length) const override {
    if (offset > request_.size() || length > request_.size() - offset) return {};
    return {{const_cast<uint8_t*>(request_.data()) + offset, length}};
  }
  [[nodiscard]] uint64_t room() const override { return room_.size(); }
  [[nodiscard]] std::vector<iovec> places(uint64_t offset, uint64_t length) override {
    if (offset > room_.size() || length > room_.size() - offset) return {};
    return {{room_.data() + offset, length}};
  }
  [[nodiscard]] bool write(uint64_t offset, std::span<const uint8_t> bytes) override {
    if (offset > room_.size() || bytes.size() > room_.size() - offset) return false;
    std::ranges::copy(bytes, room_.begin() + static_cast<ptrdiff_t>(offset));
    return true;
  }

 private:
  std::vector<uint8_t> request_, room_;
};

/// A place of this process's own: outside/shared is the folder.
const std::string& outside() {
  static const std::string path = [] {
    std::string name = "/tmp/eidolon-fuzz-share-XXXXXX";
    EIDOLON_ASSERT(mkdtemp(name.data()) != nullptr);
    std::ofstream(name + "/secret") << "secret";
    // No file gets large, whatever the guest asks for.
    const rlimit limit{.rlim_cur = 1 << 20, .rlim_max = 1 << 20};
    setrlimit(RLIMIT_FSIZE, &limit);
    signal(SIGXFSZ, SIG_IGN);
    static std::string to_remove;
    to_remove = name;
    atexit([] { fs::remove_all(to_remove); });
    return name;
  }();
  return path;
}

void put(std::vector<uint8_t>& to, const auto& value) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(&value);
  to.insert(to.end(), bytes, bytes + sizeof value);
}

/// How long the structure is that comes first, so that most messages can be meant.
size_t structure(uint32_t opcode) {
  switch (opcode) {
    case FUSE_SETATTR:
      return sizeof(fuse_setattr_in);
    case FUSE_MKNOD:
      return sizeof(fuse_mknod_in);
    case FUSE_CREATE:
    case FUSE_RENAME2:
    case FUSE_FSYNC:
      return 16;
    case FUSE_READ:
    case FUSE_READDIR:
    case FUSE_READDIRPLUS:
    case FUSE_WRITE:
      return sizeof(fuse_read_in);
    case FUSE_LOOKUP:
    case FUSE_SYMLINK:
    case FUSE_UNLINK:
    case FUSE_RMDIR:
      return 0;
    case FUSE_RELEASE:
    case FUSE_FLUSH:
    case FUSE_LSEEK:
      return 24;
    case FUSE_FALLOCATE:
      return 32;
    default:
      return 8;
  }
}

std::vector<uint8_t> make_message(InputBytes& input) {
  static constexpr const char* kNames[] = {"a",  "b", "dir", "up",  "secret",
                                           "..", ".", "",    "a/b", "../secret"};
  const auto kind = input.take<uint8_t>();
  const uint32_t opcode = kind % 53;
  std::vector<uint8_t> rest;
  // Words that are small numbers, flags of open(2) and of files, or anything.
  while (rest.size() + 4 <= structure(opcode)) {
    const auto choice = input.take<uint8_t>();
    const uint32_t word = (choice & 3) == 0   ? choice >> 2 & 7
                          : (choice & 3) == 1 ? 0
                          : (choice & 3) == 2 ? uint32_t{input.take<uint16_t>()}
                                              : input.take<uint32_t>();
    put(rest, word);
  }
  for (unsigned names = 2; names > 0; --names) {
    const std::string_view name = kNames[input.take<uint8_t>() % std::size(kNames)];
    rest.insert(rest.end(), name.begin(), name.end());
    rest.push_back(0);
  }
  rest.resize(rest.size() + input.take<uint8_t>());
  const auto odd = input.take<uint8_t>();
  const fuse_in_header header{.len = static_cast<uint32_t>(40 + rest.size() - (odd < 16 ? odd : 0)),
                              .opcode = opcode,
                              .unique = 1,
                              .nodeid = input.take<uint8_t>() % 12u,
                              .uid = 0,
                              .gid = 0,
                              .pid = 0,
                              .total_extlen = 0,
                              .padding = 0};
  std::vector<uint8_t> all;
  put(all, header);
  all.insert(all.end(), rest.begin(), rest.end());
  return all;
}

void check_outside() {
  std::ifstream file(outside() + "/secret");
  std::string text;
  file >> text;
  EIDOLON_ASSERT(text == "secret");
  EIDOLON_ASSERT(std::distance(fs::directory_iterator(outside()), fs::directory_iterator()) == 2);
  EIDOLON_ASSERT((fs::status(outside() + "/secret").permissions() & fs::perms::owner_read) !=
                 fs::perms::none);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  InputBytes input({data, size});
  const std::string folder = outside() + "/shared";
  fs::create_directories(folder + "/dir");
  fs::create_symlink("..", folder + "/up");
  std::ofstream(folder + "/a") << "text";
  {
    const auto share = *Share::open(folder, (input.take<uint8_t>() & 15) == 0, {.nodes = 16, .handles = 16});
    const auto begin = [&] {
      std::vector<uint8_t> bytes;
      put(bytes, fuse_in_header{.len = 104,
                                .opcode = FUSE_INIT,
                                .unique = 1,
                                .nodeid = 0,
                                .uid = 0,
                                .gid = 0,
                                .pid = 0,
                                .total_extlen = 0,
                                .padding = 0});
      put(bytes,
          fuse_init_in{.major = 7, .minor = 38, .max_readahead = 0, .flags = ~0u, .flags2 = 0, .unused = {}});
      Message message(std::move(bytes), 200);
      EIDOLON_ASSERT(share->serve(message) == 16 + sizeof(fuse_init_out));
    };
    begin();
    while (!input.empty()) {
      Message message(make_message(input), input.take<uint8_t>() * 16u);
      EIDOLON_ASSERT(share->serve(message) <= message.room());
      if (!share->in_use()) begin();
    }
  }
  check_outside();
  // What a guest has made of its own files' permissions is no obstacle.
  std::error_code ignored;
  fs::permissions(folder, fs::perms::owner_all, ignored);
  for (fs::recursive_directory_iterator at(folder, ignored), end; at != end; at.increment(ignored))
    if (!at->is_symlink(ignored) && at->is_directory(ignored))
      fs::permissions(at->path(), fs::perms::owner_all, ignored);
  fs::remove_all(folder);
  return 0;
}
