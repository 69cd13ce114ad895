#include "device/display/text_picture.h"

#include "display/fixture.h"

namespace eidolon::device::display {
namespace {

class TextPictureTest : public VgaTest {
 protected:
  std::optional<TextPicture> picture() {
    return text_picture({.registers = r,
                         .mode = mode_of(r, static_cast<uint32_t>(memory.size())),
                         .blink = {},
                         .memory = memory});
  }
};

TEST_F(TextPictureTest, HasCharactersColoursAndTheCursor) {
  poke(0xb8000 + (3 * 80 + 5) * 2, 'A');
  poke(0xb8001 + (3 * 80 + 5) * 2, 0x9e);
  crtc_write(0x0e, 0);
  crtc_write(0x0f, 85);
  const auto text = picture();
  ASSERT_TRUE(text);
  EXPECT_EQ(text->columns, 80u);
  EXPECT_EQ(text->rows, 25u);
  EXPECT_EQ(text->cells[3 * 80 + 5],
            (TextCell{.character = 'A', .foreground = 14, .background = 1, .blinks = true}));
  EXPECT_EQ(text->cursor, (TextPicture::Cursor{.column = 5, .row = 1}));
  attribute_write(0x10, 0x04);
  EXPECT_EQ(picture()->cells[3 * 80 + 5],
            (TextCell{.character = 'A', .foreground = 14, .background = 9, .blinks = false}));
  crtc_write(0x0a, 0x20);
  EXPECT_FALSE(picture()->cursor);
}

TEST_F(TextPictureTest, FollowsTheStartAddress) {
  poke(0xb8000 + 80 * 2, 'B');
  crtc_write(0x0c, 0);
  crtc_write(0x0d, 80);
  EXPECT_EQ(picture()->cells[0].character, 'B');
}

TEST_F(TextPictureTest, GraphicsAreNone) {
  set_planar();
  EXPECT_FALSE(picture());
}

}  // namespace
}  // namespace eidolon::device::display
