#include "cpu/breakpoints.h"

#include <gtest/gtest.h>

namespace eidolon::cpu {
namespace {

TEST(Breakpoints, AreThereOnceAndGone) {
  Breakpoints breakpoints;
  breakpoints.add(30);
  breakpoints.add(10);
  const uint64_t changes = breakpoints.changes();
  breakpoints.add(30);
  EXPECT_EQ(breakpoints.changes(), changes) << "nothing has changed";
  EXPECT_EQ(std::vector(breakpoints.addresses().begin(), breakpoints.addresses().end()),
            (std::vector<uint64_t>{10, 30}));
  breakpoints.remove(10);
  EXPECT_NE(breakpoints.changes(), changes);
  EXPECT_FALSE(breakpoints.has(10));
  EXPECT_TRUE(breakpoints.has(30));
}

TEST(Breakpoints, AreFoundInRanges) {
  Breakpoints breakpoints;
  breakpoints.add(100);
  breakpoints.add(~uint64_t{0});
  EXPECT_FALSE(breakpoints.any_in(90, 10));
  EXPECT_TRUE(breakpoints.any_in(90, 11));
  EXPECT_TRUE(breakpoints.any_in(100, 1));
  EXPECT_FALSE(breakpoints.any_in(101, 50));
  EXPECT_TRUE(breakpoints.any_in(~uint64_t{0} - 4, 5)) << "up to the end of the address space";
}

}  // namespace
}  // namespace eidolon::cpu
