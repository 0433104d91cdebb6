# libFuzzer targets: fuzz/NAME_fuzzer.cc as fuzz_NAME. main() and the engine come from libFuzzer. ci/fuzz runs them.
#
# Those of the preset `fuzz` read input, under AddressSanitizer and UndefinedBehaviorSanitizer. Those of `fuzz-plain`
# run schedules: the controlled engine has its own runtime in the place of the sanitizers'.
if(NOT CMAKE_CXX_COMPILER_ID MATCHES Clang)
  message(FATAL_ERROR "IPCTORTURE_FUZZ needs clang: cmake --preset fuzz")
endif()
# Also a library's path, as ClusterFuzzLite may give it (.clusterfuzzlite/build.sh).
set(IPCTORTURE_FUZZ_ENGINE "-fsanitize=fuzzer" CACHE STRING "What a fuzz target is linked with")
add_custom_target(fuzzers)
set(controlled_fuzzers schedule)

# fuzzer(NAME LIBRARY...)
function(fuzzer name)
  file(GLOB mutator CONFIGURE_DEPENDS fuzz/${name}_mutator.cc)
  add_executable(fuzz_${name} fuzz/${name}_fuzzer.cc ${mutator})
  target_link_libraries(fuzz_${name} PRIVATE ${ARGN} ${IPCTORTURE_FUZZ_ENGINE})
  add_dependencies(fuzzers fuzz_${name})
endfunction()

file(GLOB fuzz_sources CONFIGURE_DEPENDS fuzz/*_fuzzer.cc)
foreach(source IN LISTS fuzz_sources)
  get_filename_component(name ${source} NAME_WE)
  string(REGEX REPLACE "_fuzzer$" "" name ${name})
  if(NOT name IN_LIST controlled_fuzzers)
    fuzzer(${name} ipctorture_report)
  elseif(NOT IPCTORTURE_SANITIZE)
    fuzzer(${name} ipctorture_explore_scenario ipctorture_launch "$<LINK_LIBRARY:WHOLE_ARCHIVE,ipctorture_schedule>"
           ipctorture-explore-sut ${CMAKE_DL_LIBS})
    target_link_options(fuzz_${name} PRIVATE -rdynamic)
    set_target_properties(fuzz_${name} PROPERTIES BUILD_RPATH "$ORIGIN")
  endif()
endforeach()
