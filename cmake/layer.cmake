# eidolon_layer(NAME FOLDER [USES target...])
# One folder of src/ is one library. Every .cpp in it belongs to it; USES names the layers above it
# (docs/architecture.md lists the order; tests/layers.sh rejects an include against the arrow).
function(eidolon_layer name)
  cmake_parse_arguments(ARG "" "" "USES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp ${CMAKE_CURRENT_SOURCE_DIR}/*.S)
  list(FILTER sources EXCLUDE REGEX "/main\\.cpp$") # a program's, not the library's
  if(sources)
    add_library(eidolon_${name} STATIC ${sources})
    target_include_directories(eidolon_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(eidolon_${name} PUBLIC ${ARG_USES} PRIVATE eidolon_options)
  else()
    add_library(eidolon_${name} INTERFACE)
    target_include_directories(eidolon_${name} INTERFACE ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(eidolon_${name} INTERFACE ${ARG_USES})
  endif()
endfunction()

# eidolon_test(NAME [USES target...]): every *_test.cpp of the current folder of tests/, as one
# program whose cases CTest lists one by one.
function(eidolon_test name)
  cmake_parse_arguments(ARG "" "" "USES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  if(NOT sources)
    return()
  endif()
  add_executable(test_${name} ${sources})
  target_link_libraries(test_${name} PRIVATE ${ARG_USES} GTest::gtest_main eidolon_options)
  target_include_directories(test_${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  gtest_discover_tests(test_${name} TEST_PREFIX "${name}." DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 300)
endfunction()
