#include "control/topology_option.h"

#include <gtest/gtest.h>

namespace eidolon::control {
namespace {

using x86::Topology;

TEST(TopologyOption, TakesANumberOrAShape) {
  EXPECT_EQ(*parse_topology("1"), Topology());
  EXPECT_EQ(*parse_topology("64"), (Topology{.cores = 64}));
  EXPECT_EQ(*parse_topology("sockets=2,cores=4,threads=2"),
            (Topology{.sockets = 2, .cores = 4, .threads = 2}));
  EXPECT_EQ(*parse_topology("threads=2"), (Topology{.threads = 2}));
  EXPECT_EQ(*parse_topology("8,cores=4,threads=2"), (Topology{.cores = 4, .threads = 2}));
}

TEST(TopologyOption, RefusesInOneSentence) {
  for (const char* text : {"", "0", "65", "-1", "4x", "4,", "sockets=", "sockets=0", "cores=65", "8,cores=2",
                           "2,2", "dies=2", "sockets=8,cores=8,threads=2", "99999999999"}) {
    const auto parsed = parse_topology(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().message.find("--cpus"), 0u) << parsed.error().message;
  }
}

}  // namespace
}  // namespace eidolon::control
