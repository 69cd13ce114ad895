#include "control/socket_path.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "backend/line_client.h"
#include "backend/line_server.h"
#include "base/try.h"

namespace eidolon::control {

namespace {

constexpr size_t kLongestName = 64;
constexpr std::string_view kSuffix = ".sock";

bool is_directory(const std::string& path) {
  struct stat found {};
  return stat(path.c_str(), &found) == 0 && S_ISDIR(found.st_mode);
}

std::string directory_name() {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime != nullptr && runtime[0] == '/' && is_directory(runtime))
    return std::string(runtime) + "/eidolon";
  return fmt::format("/tmp/eidolon-{}", geteuid());
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

Result<> check_machine_name(const std::string& name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
  };
  if (name.empty() || name.size() > kLongestName || name.front() == '.' || !std::ranges::all_of(name, fits))
    return fail("--name takes up to {} letters, digits, '.', '-' and '_', not '{}'", kLongestName, name);
  return {};
}

Result<std::string> runtime_directory() {
  std::string path = directory_name();
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return fail("cannot make the directory '{}' ({}); set XDG_RUNTIME_DIR to a directory of yours", path,
                strerror(errno));
  struct stat found {};
  if (lstat(path.c_str(), &found) != 0 || !S_ISDIR(found.st_mode) || found.st_uid != geteuid() ||
      (found.st_mode & 077) != 0)
    return fail("'{}' is not a directory that only you may use; remove it, or set XDG_RUNTIME_DIR", path);
  return path;
}

Result<std::string> socket_path(const std::string& name) {
  EIDOLON_TRY(check_machine_name(name));
  return EIDOLON_TRY(runtime_directory()) + "/" + name + std::string(kSuffix);
}

Result<std::vector<std::string>> running_machines() {
  const std::string directory = EIDOLON_TRY(runtime_directory());
  std::vector<std::string> names;
  std::error_code problem;
  for (const auto& entry : std::filesystem::directory_iterator(directory, problem)) {
    const std::string file = entry.path().filename();
    if (!file.ends_with(kSuffix)) continue;
    if (backend::is_served(entry.path())) {
      names.push_back(file.substr(0, file.size() - kSuffix.size()));
    } else {
      backend::remove_stale_socket(entry.path());
    }
  }
  std::ranges::sort(names);
  return names;
}

Result<std::string> find_machine(const std::string& name) {
  if (!name.empty()) return socket_path(name);
  const std::vector<std::string> names = EIDOLON_TRY(running_machines());
  if (names.empty()) return fail("no machine with a name is running; start one with eidolon run --name NAME");
  if (names.size() > 1) return fail("several machines are running; say which with --name: {}", joined(names));
  return socket_path(names.front());
}

}  // namespace eidolon::control
