# Tests stand beside what they test: NAME_test.cc. One executable per folder, run case by case by ctest.
find_package(GTest REQUIRED)
find_library(RAPIDCHECK rapidcheck REQUIRED)
include(GoogleTest)

# test_program(NAME SOURCES... LIBRARIES library...): an executable and its cases.
function(test_program name)
  cmake_parse_arguments(PARSE_ARGV 1 test "" "" "LIBRARIES")
  add_executable(${name} ${test_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${test_LIBRARIES} GTest::gtest GTest::gmock)
  target_precompile_headers(${name} PRIVATE ${pch_headers} <gtest/gtest.h>)
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 300)
endfunction()

# test_folder(FOLDER NAME LIBRARY...): FOLDER/*_test.cc as test_NAME.
function(test_folder folder name)
  file(GLOB sources CONFIGURE_DEPENDS ${folder}/*_test.cc)
  # A program of its own: it needs every transport.
  list(FILTER sources EXCLUDE REGEX "conformance_test\\.cc$")
  if(sources)
    test_program(test_${name} ${sources} LIBRARIES ${ARGN} GTest::gtest_main)
  endif()
endfunction()

foreach(name base transport history scenario work launch check shrink report)
  if(TARGET ipctorture_${name})
    test_folder(harness/${name} ${name} ipctorture_${name})
  endif()
endforeach()
test_folder(transports transports ipctorture_transports)
test_folder(stress/bench bench ipctorture_cli ${json})
test_folder(stress stress ipctorture_cli ipctorture_transports ${RAPIDCHECK})

test_program(test_conformance harness/transport/conformance_test.cc
             LIBRARIES ipctorture_harness ipctorture_transports)
file(GLOB shipped CONFIGURE_DEPENDS transports/*.cc)
list(FILTER shipped EXCLUDE REGEX "(canaries|_test)\\.cc$")
list(LENGTH shipped shipped_count)
target_compile_definitions(test_conformance PRIVATE IPCTORTURE_SHIPPED_FILES=${shipped_count})

# The built executable as a user runs it.
file(GLOB cli_sources CONFIGURE_DEPENDS stress/cli/*.cc)
test_program(test_cli ${cli_sources}
             LIBRARIES ipctorture_harness ipctorture_transports ${json} GTest::gtest_main)
target_compile_definitions(test_cli PRIVATE IPCTORTURE_PROGRAM="$<TARGET_FILE:ipctorture>")
add_dependencies(test_cli ipctorture)
