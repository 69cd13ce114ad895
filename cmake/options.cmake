# Compiler options that every target shares.
add_library(eidolon_options INTERFACE)
target_compile_options(eidolon_options INTERFACE
  -Wall -Wextra -Wpedantic -Werror -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Wcast-qual
  -Woverloaded-virtual -Wnull-dereference -Wimplicit-fallthrough -Wextra-semi
  -Wno-pedantic            # statement expressions and __int128 are used on purpose
  -Wno-null-dereference    # g++ 12 reports it inside the standard library
  -fno-strict-aliasing     # guest memory has no C++ types
  -fPIE)                   # after CMake's -fPIC, under which no function of a library is inlined into others
if(EIDOLON_SANITIZE)
  target_compile_options(eidolon_options INTERFACE
    -O1 -g1                # half the time of -O2 -g to build, and lines are what reports need
    -fsanitize=${EIDOLON_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all
    -Wno-maybe-uninitialized -Wno-stringop-overflow -Wno-stringop-overread -Wno-array-bounds) # false positives under -fsanitize
  target_link_options(eidolon_options INTERFACE -fsanitize=${EIDOLON_SANITIZE})
  target_compile_definitions(eidolon_options INTERFACE EIDOLON_SANITIZED=1)
endif()

find_program(EIDOLON_CCACHE ccache)
if(EIDOLON_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${EIDOLON_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${EIDOLON_CCACHE})
endif()
