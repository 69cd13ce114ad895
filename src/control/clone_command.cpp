#include "control/clone_command.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "base/file.h"
#include "base/try.h"
#include "control/ask_machine.h"
#include "control/clone_process.h"
#include "control/socket_path.h"
#include "machine/clone_config.h"
#include "machine/saved_machine.h"

namespace eidolon::control {

namespace {

using Json = nlohmann::json;

/// The snapshot's file. The copies have it open, so that it needs no name any more when they run.
class Image {
 public:
  explicit Image(const std::string& name) {
    const char* folder = std::getenv("TMPDIR");
    path_ = fmt::format("{}/eidolon-{}-{}.snap", folder != nullptr && *folder != '\0' ? folder : "/var/tmp",
                        name, getpid());
    path_ = std::filesystem::absolute(path_).lexically_normal().string();
  }
  ~Image() {
    if (!kept_) unlink(path_.c_str());
  }
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  void keep() { kept_ = true; }

 private:
  std::string path_;
  bool kept_ = false;
};

/// A process that is about to end, so that its locks on disks can be waited for. Not valid: it cannot be
/// seen from here, as in another container.
FileDescriptor watch_process(const Json& status) {
  return FileDescriptor(static_cast<int>(syscall(SYS_pidfd_open, status.value("pid", 0), 0)));
}
void wait_for_end(const FileDescriptor& process) {
  constexpr int kPatienceMilliseconds = 30'000;
  pollfd ended{.fd = process.get(), .events = POLLIN, .revents = 0};
  if (process.valid()) poll(&ended, 1, kPatienceMilliseconds);
}

/// NAME-1 to NAME-count, none of which is in use.
Result<std::vector<std::string>> names_of(const std::string& name, unsigned count) {
  const std::vector<std::string> taken = EIDOLON_TRY(running_machines());
  std::vector<std::string> names;
  for (unsigned i = 1; i <= count; ++i) {
    names.push_back(fmt::format("{}-{}", name, i));
    EIDOLON_TRY(check_machine_name(names.back()));
    if (std::ranges::find(taken, names.back()) != taken.end())
      return fail("there is a machine called '{}' already; end it first", names.back());
  }
  return names;
}

/// Whether copies can run beside each other, and beside the machine unless it has ended.
Result<> check_image(const Image& image, const CloneRequest& request) {
  machine::SavedMachine saved = EIDOLON_TRY(machine::SavedMachine::open(image.path()));
  if (const machine::DiskConfig* disk = machine::written_disk(saved.config); disk != nullptr && !request.stop)
    return fail(
        "the machine may write to '{}', which its copies would share with it; end it there with --stop, or "
        "start "
        "it with that disk as ,snapshot",
        disk->path);
  return machine::make_clone(saved.config, request.published);
}

/// All of them, or none.
Result<std::vector<CloneProcess>> start_copies(const Image& image, const std::vector<std::string>& names,
                                               const CloneRequest& request) {
  std::vector<CloneProcess> copies;
  Result<> done;
  for (const std::string& name : names) {
    const auto number = static_cast<unsigned>(copies.size() + 1);
    const std::string log = request.logs.empty() ? "" : fmt::format("{}/{}.log", request.logs, name);
    const auto ports = machine::ports_of_clone(request.published, number);
    auto copy = ports ? CloneProcess::start(image.path(), name, *ports, log) : std::unexpected(ports.error());
    if (!copy) {
      done = std::unexpected(copy.error());
      break;
    }
    copies.push_back(*std::move(copy));
  }
  for (const CloneProcess& copy : copies)
    if (done) done = copy.wait_until_it_runs();
  if (done) return copies;
  for (const CloneProcess& copy : copies) copy.end();
  return std::unexpected(done.error());
}

Result<std::vector<CloneProcess>> make_copies(const Image& image, const CloneRequest& request,
                                              const std::vector<std::string>& names) {
  EIDOLON_TRY(check_image(image, request));
  return start_copies(image, names, request);
}

Result<> clone(const CloneRequest& request) {
  if (!request.logs.empty() && !std::filesystem::is_directory(request.logs))
    return fail("there is no folder '{}'; make it, or leave out --logs", request.logs);
  const std::string path = EIDOLON_TRY(find_machine(request.name));
  const Json status = EIDOLON_TRY(ask_machine(path, R"({"command": "status"})"));
  const std::string name = status.value("name", request.name);
  const std::vector<std::string> names = EIDOLON_TRY(names_of(name, request.count));
  Image image(name);
  const Json snapshot = {{"command", "snapshot"}, {"file", image.path()}, {"stop", request.stop}};
  const FileDescriptor process = watch_process(status);
  EIDOLON_TRY(ask_machine(path, snapshot.dump(), kSnapshotPatienceSeconds));
  if (request.stop) wait_for_end(process);
  const auto copies = make_copies(image, request, names);
  if (!copies && request.stop) {  // it is all that is left of the machine
    image.keep();
    return fail("{}; the machine is in '{}', for eidolon restore", copies.error().message, image.path());
  }
  if (!copies) return std::unexpected(copies.error());
  for (const CloneProcess& copy : *copies) fmt::print("{}: process {}\n", copy.name(), copy.pid());
  return {};
}

}  // namespace

int clone_command(const CloneRequest& request) {
  return exit_status_of([&request] { return clone(request); });
}

}  // namespace eidolon::control
