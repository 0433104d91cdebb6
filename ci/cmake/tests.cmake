# Tests stand beside what they test: NAME_test.cc. One executable per folder, run case by case by ctest.
find_package(GTest REQUIRED)
find_library(RAPIDCHECK rapidcheck REQUIRED)
include(GoogleTest)

# test_program(NAME SOURCES... [LABEL slow] [PROCESSORS N] LIBRARIES library...): an executable and its cases. The
# label is for those that run many scenarios: ci/test runs them with one compiler only. PROCESSORS: those who keep so
# many cores busy must not do that to their neighbours.
function(test_program name)
  cmake_parse_arguments(PARSE_ARGV 1 test "" "LABEL;PROCESSORS" "LIBRARIES")
  add_executable(${name} ${test_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${test_LIBRARIES} GTest::gtest GTest::gmock)
  target_precompile_headers(${name} PRIVATE ${pch_headers} <gtest/gtest.h>)
  set(properties TIMEOUT 300)
  if(test_LABEL)
    list(APPEND properties LABELS ${test_LABEL})
  endif()
  if(test_PROCESSORS)
    list(APPEND properties PROCESSORS ${test_PROCESSORS})
  endif()
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 PROPERTIES ${properties})
endfunction()

# test_folder(FOLDER NAME LIBRARY...): FOLDER/*_test.cc as test_NAME.
function(test_folder folder name)
  file(GLOB sources CONFIGURE_DEPENDS ${folder}/*_test.cc)
  # Programs of their own: they need every transport.
  list(FILTER sources EXCLUDE REGEX "(conformance|property|canary|comings_and_goings)_test\\.cc$")
  if(sources)
    test_program(test_${name} ${sources} LIBRARIES ${ARGN} GTest::gtest_main)
  endif()
endfunction()

foreach(name base linear transport history scenario work launch check shrink report)
  if(TARGET ipctorture_${name})
    test_folder(harness/${name} ${name} ipctorture_${name})
  endif()
endforeach()
target_link_libraries(test_check PRIVATE ipctorture_linear)  # what the oracles are held against
# The controlled engine defines the C library's calls: in a program of its own, with a shared object to control.
if(TARGET ipctorture-explore)
  file(GLOB schedule_tests CONFIGURE_DEPENDS harness/schedule/*_test.cc harness/schedule/calls/*_test.cc
       harness/explore_scenario_test.cc)
  if(schedule_tests)
    file(GLOB planted CONFIGURE_DEPENDS harness/schedule/planted/*.cc)
    ipctorture_add_instrumented(ipctorture-planted-sut "ipctorture_planted_*" ${planted})
    test_program(test_schedule ${schedule_tests}
                 LIBRARIES ipctorture_explore_scenario "$<LINK_LIBRARY:WHOLE_ARCHIVE,ipctorture_schedule>"
                 ipctorture-explore-sut ipctorture-planted-sut GTest::gtest_main ${CMAKE_DL_LIBS})
    target_link_options(test_schedule PRIVATE -rdynamic)
    set_target_properties(test_schedule PROPERTIES BUILD_RPATH "$ORIGIN")
  endif()
  # The explorer as a user runs it.
  file(GLOB explore_tests CONFIGURE_DEPENDS stress/explore/*_test.cc)
  if(explore_tests)
    test_program(test_explore ${explore_tests} stress/cli/child.cc LABEL slow PROCESSORS 2
                 LIBRARIES ipctorture_harness ipctorture_transports ${json} GTest::gtest_main)
    target_compile_definitions(test_explore PRIVATE IPCTORTURE_PROGRAM="$<TARGET_FILE:ipctorture>")
    add_dependencies(test_explore ipctorture)
  endif()
endif()
# For the test that holds docs/worker-protocol.md to the fields of a scenario.
target_compile_definitions(test_scenario PRIVATE IPCTORTURE_DOCS="${CMAKE_SOURCE_DIR}/docs")
test_folder(transports transports ipctorture_transports)
test_folder(stress/bench bench ipctorture_cli ${json})
test_program(test_soak harness/run_soak_test.cc LIBRARIES ipctorture_harness GTest::gtest_main)
test_folder(stress stress ipctorture_cli ipctorture_transports)
test_program(test_torture stress/property_test.cc stress/canary_test.cc stress/comings_and_goings_test.cc LABEL slow
             LIBRARIES ipctorture_harness ipctorture_transports ${RAPIDCHECK} GTest::gtest_main)
file(GLOB property_tests CONFIGURE_DEPENDS stress/*_property_test.cc)
test_program(test_properties ${property_tests}
             LIBRARIES ipctorture_cli ipctorture_transports ${json} ${RAPIDCHECK} GTest::gtest_main)

test_program(test_conformance harness/transport/conformance_test.cc LABEL slow
             LIBRARIES ipctorture_harness ipctorture_transports)
file(GLOB shipped CONFIGURE_DEPENDS transports/*.cc)
list(FILTER shipped EXCLUDE REGEX "(canaries|_test)\\.cc$")
list(LENGTH shipped shipped_count)
target_compile_definitions(test_conformance PRIVATE IPCTORTURE_SHIPPED_FILES=${shipped_count})

# The built executable as a user runs it.
file(GLOB cli_sources CONFIGURE_DEPENDS stress/cli/*.cc)
test_program(test_cli ${cli_sources} LABEL slow
             LIBRARIES ipctorture_harness ipctorture_transports ${json} GTest::gtest_main)
target_compile_definitions(test_cli PRIVATE IPCTORTURE_PROGRAM="$<TARGET_FILE:ipctorture>"
                           IPCTORTURE_DOCS="${CMAKE_SOURCE_DIR}/docs")
add_dependencies(test_cli ipctorture)

# The inputs of the fuzz targets as ordinary tests, without libFuzzer: of fuzz/corpus/NAME, fuzz/regressions/NAME, and a
# folder in these for each transport, if the target has some.
include(ci/cmake/fuzz_targets.cmake)
test_program(test_hostile_peer fuzz/hostile_peer_test.cc fuzz/planted/hostile_toys.cc fuzz/hostile_peer_mutator.cc
             ${hostile_peer_sources} LIBRARIES ipctorture_scenario ipctorture_transports GTest::gtest_main)
fuzz_target_names(fuzz_names)
foreach(name IN LISTS fuzz_names)
  add_executable(replay_${name} fuzz/replay_inputs.cc)
  fuzz_target(replay_${name} ${name})
  set(folders ${CMAKE_SOURCE_DIR}/fuzz/corpus/${name} ${CMAKE_SOURCE_DIR}/fuzz/regressions/${name})
  add_test(NAME FuzzInputs.${name} COMMAND replay_${name} ${folders} ${CMAKE_BINARY_DIR}/seeds/${name})
  set_tests_properties(FuzzInputs.${name} PROPERTIES TIMEOUT 300)
  if(name MATCHES "_reader$")  # and what fuzzing would begin with
    add_test(NAME FuzzSeeds.${name} COMMAND make_seeds ${name} ${CMAKE_BINARY_DIR}/seeds/${name} 24)
    set_tests_properties(FuzzSeeds.${name} PROPERTIES FIXTURES_SETUP seeds_of_${name} TIMEOUT 60)
    set_tests_properties(FuzzInputs.${name} PROPERTIES FIXTURES_REQUIRED seeds_of_${name})
  endif()
  foreach(folder IN LISTS folders)
    file(GLOB entries CONFIGURE_DEPENDS LIST_DIRECTORIES true ${folder}/*)
    foreach(entry IN LISTS entries)
      if(IS_DIRECTORY ${entry})
        get_filename_component(transport ${entry} NAME)
        get_filename_component(kind ${folder}/.. ABSOLUTE)
        get_filename_component(kind ${kind} NAME)
        add_test(NAME FuzzInputs.${name}.${kind}.${transport}
                 COMMAND replay_${name} --transport=${transport} ${entry})
        set_tests_properties(FuzzInputs.${name}.${kind}.${transport} PROPERTIES TIMEOUT 300)
      endif()
    endforeach()
  endforeach()
endforeach()

# Coverage over several processes: a fuzzer of a planted bug, as an ordinary program.
if(CMAKE_CXX_COMPILER_ID MATCHES Clang AND NOT IPCTORTURE_SANITIZE)
  add_library(planted_magic_objects OBJECT fuzz/planted/magic.cc)
  target_compile_options(planted_magic_objects PRIVATE -fsanitize=fuzzer-no-link)
  target_link_libraries(planted_magic_objects PUBLIC ipctorture_base)
  foreach(program planted_magic planted_magic_unaligned)
    add_executable(${program} fuzz/planted/magic_fuzzer.cc fuzz/shared_counters.cc)
    target_link_libraries(${program} PRIVATE planted_magic_objects -fsanitize=fuzzer)
  endforeach()
  target_link_options(planted_magic PRIVATE "-Wl,-T,${CMAKE_SOURCE_DIR}/fuzz/counters.ld")
  set_property(TARGET planted_magic APPEND PROPERTY LINK_DEPENDS ${CMAKE_SOURCE_DIR}/fuzz/counters.ld)
  file(GLOB fuzz_tests CONFIGURE_DEPENDS fuzz/*_test.cc)
  list(FILTER fuzz_tests EXCLUDE REGEX "hostile_peer_test\\.cc$")
  test_program(test_fuzz ${fuzz_tests} fuzz/interleavings.cc fuzz/scenario_mutator.cc
               LIBRARIES ipctorture_scenario GTest::gtest_main)
  target_compile_definitions(test_fuzz PRIVATE IPCTORTURE_PLANTED_MAGIC="$<TARGET_FILE:planted_magic>")
  add_dependencies(test_fuzz planted_magic planted_magic_unaligned)
endif()
