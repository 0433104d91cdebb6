# libFuzzer targets: fuzz/NAME_fuzzer.cc as fuzz_NAME. main() and the engine come from libFuzzer. ci/fuzz runs them.
#
# Those of the preset `fuzz` read input, under AddressSanitizer and UndefinedBehaviorSanitizer. Those of `fuzz-plain`
# run schedules: the controlled engine has its own runtime in the place of the sanitizers'. That of scenarios is in both.
if(NOT CMAKE_CXX_COMPILER_ID MATCHES Clang)
  message(FATAL_ERROR "IPCTORTURE_FUZZ needs clang: cmake --preset fuzz")
endif()
# Also a library's path, as ClusterFuzzLite may give it (.clusterfuzzlite/build.sh).
set(IPCTORTURE_FUZZ_ENGINE "-fsanitize=fuzzer" CACHE STRING "What a fuzz target is linked with")
add_custom_target(fuzzers)
set(controlled_fuzzers schedule)
set(free_fuzzers scenario)

# How the free engine passes its time says nothing about an input. Those who read input are not among these.
if(IPCTORTURE_SANITIZE)
  set(unseen director.cc director_pump.cc engine.cc forked_crew.cc zygote.cc worker.cc watch.cc nemesis.cc pressure.cc
      failing_calls.cc descriptor_passing.cc leftovers.cc active.cc)
  list(TRANSFORM unseen PREPEND harness/launch/)
  file(GLOB work CONFIGURE_DEPENDS harness/work/*.cc)
  # A list of what not to count, for it goes with the precompiled header, where -fno-sanitize= does not.
  file(WRITE ${CMAKE_BINARY_DIR}/uncounted.txt "fun:*\n")
  set_source_files_properties(${unseen} ${work} harness/history/lane.cc fuzz/interleavings.cc PROPERTIES
    COMPILE_OPTIONS "-fsanitize-coverage-ignorelist=${CMAKE_BINARY_DIR}/uncounted.txt")
endif()

# Coverage over several processes; fuzz/shared_counters.h says why it is not instrumented itself.
set_source_files_properties(fuzz/shared_counters.cc PROPERTIES COMPILE_OPTIONS
  "-fno-sanitize=fuzzer-no-link,address,undefined")
add_library(shared_counters STATIC fuzz/shared_counters.cc fuzz/interleavings.cc)
target_link_libraries(shared_counters PUBLIC ipctorture_history)
function(share_counters target)
  target_link_options(${target} PRIVATE "-Wl,-T,${CMAKE_SOURCE_DIR}/fuzz/counters.ld")
  set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS ${CMAKE_SOURCE_DIR}/fuzz/counters.ld)
endfunction()

# What a scenario's workers run, instrumented: with sanitizers everything is.
if(IPCTORTURE_SANITIZE)
  add_library(fuzzed_transports ALIAS ipctorture_transports)
else()
  file(GLOB harness_transport CONFIGURE_DEPENDS harness/transport/*.cc)
  list(FILTER harness_transport EXCLUDE REGEX "_test\\.cc$")
  add_library(fuzzed_transports OBJECT ${transport_sources} ${harness_transport})
  target_compile_options(fuzzed_transports PRIVATE ${ipctorture_coverage})
  target_link_libraries(fuzzed_transports PUBLIC ipctorture_base ${transport_libraries})
  target_precompile_headers(fuzzed_transports PRIVATE ${pch_headers})
endif()

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
  if(name IN_LIST free_fuzzers)
    fuzzer(${name} ipctorture_harness fuzzed_transports shared_counters)
    share_counters(fuzz_${name})
  elseif(NOT name IN_LIST controlled_fuzzers)
    fuzzer(${name} ipctorture_report)
  elseif(NOT IPCTORTURE_SANITIZE)
    fuzzer(${name} shared_counters ipctorture_explore_scenario ipctorture_launch "$<LINK_LIBRARY:WHOLE_ARCHIVE,ipctorture_schedule>"
           ipctorture-explore-sut ${CMAKE_DL_LIBS})
    target_link_options(fuzz_${name} PRIVATE -rdynamic)
    set_target_properties(fuzz_${name} PROPERTIES BUILD_RPATH "$ORIGIN")
    share_counters(fuzz_${name})
    share_counters(ipctorture-explore-sut)
  endif()
endforeach()
