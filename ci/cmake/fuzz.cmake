# libFuzzer targets: fuzz/NAME_fuzzer.cc as fuzz_NAME. main() and the engine come from libFuzzer. ci/fuzz runs them.
#
# Those of the preset `fuzz` run under AddressSanitizer and UndefinedBehaviorSanitizer; `fuzz-plain` has those that run
# schedules: the controlled engine has its own runtime in the place of the sanitizers'. That of scenarios is in both.
if(NOT CMAKE_CXX_COMPILER_ID MATCHES Clang)
  message(FATAL_ERROR "IPCTORTURE_FUZZ needs clang: cmake --preset fuzz")
endif()
include(ci/cmake/fuzz_targets.cmake)
# Also a library's path, as ClusterFuzzLite may give it (.clusterfuzzlite/build.sh).
set(IPCTORTURE_FUZZ_ENGINE "-fsanitize=fuzzer" CACHE STRING "What a fuzz target is linked with")
add_custom_target(fuzzers)

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

fuzz_target_names(names)
foreach(name IN LISTS names)
  add_executable(fuzz_${name})
  fuzz_target(fuzz_${name} ${name})
  target_link_libraries(fuzz_${name} PRIVATE ${IPCTORTURE_FUZZ_ENGINE})
  add_dependencies(fuzzers fuzz_${name})
endforeach()

add_dependencies(fuzzers make_seeds)

# The hostile peer over toys that are broken on purpose: what its detectors are worth.
add_executable(fuzz_hostile_toys EXCLUDE_FROM_ALL fuzz/planted/hostile_toys.cc)
target_compile_options(fuzz_hostile_toys PRIVATE ${ipctorture_coverage})
fuzz_target(fuzz_hostile_toys hostile_peer)
target_link_libraries(fuzz_hostile_toys PRIVATE ${IPCTORTURE_FUZZ_ENGINE})
