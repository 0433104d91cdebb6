# Tests stand beside what they test: NAME_test.cc. One executable per folder, run case by case by ctest.
find_package(GTest REQUIRED)
include(GoogleTest)

# test_folder(FOLDER NAME LIBRARY...): FOLDER/*_test.cc as test_NAME.
function(test_folder folder name)
  file(GLOB sources CONFIGURE_DEPENDS ${folder}/*_test.cc)
  if(NOT sources)
    return()
  endif()
  add_executable(test_${name} ${sources})
  target_link_libraries(test_${name} PRIVATE ${ARGN} GTest::gtest GTest::gmock GTest::gtest_main)
  target_precompile_headers(test_${name} PRIVATE ${pch_headers} <gtest/gtest.h>)
  gtest_discover_tests(test_${name} DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 300)
endfunction()

foreach(name base transport history scenario work launch check shrink report)
  if(TARGET ipctorture_${name})
    test_folder(harness/${name} ${name} ipctorture_${name})
  endif()
endforeach()
