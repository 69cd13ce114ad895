// A pipe for tests: its reading end read to the last byte, its writing end written at once.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <string>
#include <string_view>

#include "base/file.h"

namespace eidolon::backend {

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{-1, -1};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) ADD_FAILURE() << "pipe2 failed";
    reader = FileDescriptor(ends[0]);
    writer = FileDescriptor(ends[1]);
  }

  void put(std::string_view text) const {
    EXPECT_EQ(write(writer.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }

  /// Everything up to the end; the writing end must be closed, or soon be.
  [[nodiscard]] std::string drain() const {
    std::string all;
    std::array<char, 4096> buffer;
    ssize_t count = 0;
    while ((count = read(reader.get(), buffer.data(), buffer.size())) > 0) {
      all.append(buffer.data(), static_cast<size_t>(count));
    }
    return all;
  }

  FileDescriptor reader;
  FileDescriptor writer;
};

}  // namespace eidolon::backend
