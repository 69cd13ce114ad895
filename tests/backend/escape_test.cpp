#include "backend/escape.h"

#include <gtest/gtest.h>

namespace eidolon::backend {
namespace {

TEST(EscapeFilter, PassesOrdinaryKeysOn) {
  EscapeFilter filter;
  EXPECT_EQ(filter.feed('x').to_guest, 'x');
  EXPECT_EQ(filter.feed(0x03).to_guest, 0x03) << "Ctrl-C belongs to the guest";
  EXPECT_EQ(filter.feed(0xff).to_guest, 0xff);
}

TEST(EscapeFilter, PrefixAndXQuits) {
  EscapeFilter filter;
  EXPECT_FALSE(filter.feed(EscapeFilter::kPrefix).to_guest.has_value());
  const EscapeFilter::Verdict verdict = filter.feed('x');
  EXPECT_EQ(verdict.command, EscapeCommand::kQuit);
  EXPECT_FALSE(verdict.to_guest.has_value());
}

TEST(EscapeFilter, PrefixAndHHelpsOnce) {
  EscapeFilter filter;
  (void)filter.feed(EscapeFilter::kPrefix);
  EXPECT_EQ(filter.feed('h').command, EscapeCommand::kHelp);
  EXPECT_EQ(filter.feed('h').to_guest, 'h');
}

TEST(EscapeFilter, PrefixTwiceSendsIt) {
  EscapeFilter filter;
  (void)filter.feed(EscapeFilter::kPrefix);
  EXPECT_EQ(filter.feed(EscapeFilter::kPrefix).to_guest, EscapeFilter::kPrefix);
  EXPECT_EQ(filter.feed('x').to_guest, 'x') << "the prefix was used up";
}

TEST(EscapeFilter, UnknownCommandIsSwallowed) {
  EscapeFilter filter;
  (void)filter.feed(EscapeFilter::kPrefix);
  const EscapeFilter::Verdict verdict = filter.feed('q');
  EXPECT_EQ(verdict.command, EscapeCommand::kNone);
  EXPECT_FALSE(verdict.to_guest.has_value());
}

}  // namespace
}  // namespace eidolon::backend
