# libFuzzer targets: fuzz/NAME_fuzzer.cc as fuzz_NAME. The layers are instrumented by CMakeLists.txt, main() and the
# engine come from libFuzzer. ci/fuzz runs them.
if(NOT CMAKE_CXX_COMPILER_ID MATCHES Clang)
  message(FATAL_ERROR "IPCTORTURE_FUZZ needs clang: cmake --preset fuzz")
endif()
# Also a library's path, as ClusterFuzzLite may give it (.clusterfuzzlite/build.sh).
set(IPCTORTURE_FUZZ_ENGINE "-fsanitize=fuzzer" CACHE STRING "What a fuzz target is linked with")
add_custom_target(fuzzers)
file(GLOB fuzz_sources CONFIGURE_DEPENDS fuzz/*_fuzzer.cc)
foreach(source IN LISTS fuzz_sources)
  get_filename_component(name ${source} NAME_WE)
  string(REGEX REPLACE "_fuzzer$" "" name ${name})
  add_executable(fuzz_${name} ${source})
  target_link_libraries(fuzz_${name} PRIVATE ipctorture_report ${IPCTORTURE_FUZZ_ENGINE})
  add_dependencies(fuzzers fuzz_${name})
endforeach()
