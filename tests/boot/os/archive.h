// An initial RAM disk with a few files of a test's own behind another one: the kernel unpacks one archive
// after the other.
#pragma once

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace eidolon::boot_test {

inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// One entry of a cpio archive (the format that Linux calls newc).
inline std::string archive_entry(const std::string& name, const std::string& content, unsigned mode) {
  char header[111];
  std::snprintf(header, sizeof header, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", 0u, mode,
                0u, 0u, 1u, 0u, static_cast<unsigned>(content.size()), 0u, 0u, 0u, 0u,
                static_cast<unsigned>(name.size() + 1), 0u);
  std::string entry = header + name + '\0';
  entry.resize((entry.size() + 3) / 4 * 4);
  entry += content;
  entry.resize((entry.size() + 3) / 4 * 4);
  return entry;
}

/// Writes `path`: the archive `base`, and the programs behind it, in the root directory.
inline void add_programs(const std::string& path, const std::string& base,
                         const std::vector<std::string>& programs) {
  std::string all = read_file(base);
  all.resize((all.size() + 3) / 4 * 4);
  for (const std::string& program : programs)
    all += archive_entry(std::filesystem::path(program).filename(), read_file(program), 0100755);
  all += archive_entry("TRAILER!!!", "", 0);
  std::ofstream(path, std::ios::binary) << all;
}

}  // namespace eidolon::boot_test
