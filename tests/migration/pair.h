// Two ends of a connection in one process.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <memory>

#include "migration/connection.h"

namespace eidolon::migration {

struct Pair {
  Pair() : cancelled(*backend::Wakeup::create()) {
    std::array<int, 2> ends{};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()), 0);
    one = *Connection::accepted(FileDescriptor(ends[0]), nullptr, cancelled);
    other = *Connection::accepted(FileDescriptor(ends[1]), nullptr, cancelled);
  }
  backend::Wakeup cancelled;
  std::unique_ptr<Connection> one, other;
};

}  // namespace eidolon::migration
