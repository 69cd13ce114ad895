#include "control/topology_option.h"

#include <gtest/gtest.h>

namespace eidolon::control {
namespace {

using x86::Topology;

TEST(TopologyOption, TakesANumberOrAShape) {
  EXPECT_EQ(parse_processors("1")->topology, Topology());
  EXPECT_EQ(parse_processors("64")->topology, (Topology{.cores = 64}));
  EXPECT_EQ(parse_processors("sockets=2,cores=4,threads=2")->topology,
            (Topology{.sockets = 2, .cores = 4, .threads = 2}));
  EXPECT_EQ(parse_processors("threads=2")->topology, (Topology{.threads = 2}));
  EXPECT_EQ(parse_processors("8,cores=4,threads=2")->topology, (Topology{.cores = 4, .threads = 2}));
}

TEST(TopologyOption, TakesRoomForMore) {
  EXPECT_EQ(parse_processors("4")->present, 0u);
  EXPECT_EQ(*parse_processors("2,max=4"), (ProcessorsOption{Topology::of(4), 2}));
  EXPECT_EQ(*parse_processors("max=64,64"), (ProcessorsOption{Topology::of(64), 64}));
  EXPECT_EQ(*parse_processors("3,max=8,cores=4,threads=2"),
            (ProcessorsOption{{.cores = 4, .threads = 2}, 3}));
  EXPECT_EQ(*parse_processors("1,sockets=2,max=2"), (ProcessorsOption{{.sockets = 2}, 1}));
}

TEST(TopologyOption, RefusesInOneSentence) {
  for (const char* text : {"",
                           "0",
                           "65",
                           "-1",
                           "4x",
                           "4,",
                           "sockets=",
                           "sockets=0",
                           "cores=65",
                           "8,cores=2",
                           "2,2",
                           "dies=2",
                           "sockets=8,cores=8,threads=2",
                           "99999999999",
                           "max=4",
                           "4,max=2",
                           "2,max=0",
                           "2,max=65",
                           "2,max=",
                           "2,max=4,cores=2",
                           "cores=4,max=4"}) {
    const auto parsed = parse_processors(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().message.find("--cpus"), 0u) << parsed.error().message;
  }
}

}  // namespace
}  // namespace eidolon::control
