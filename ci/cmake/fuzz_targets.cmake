# What each fuzz target is made of: fuzz/NAME_fuzzer.cc, fuzz/NAME_mutator.cc where there is one, and what stands here.
# Both for libFuzzer (fuzz.cmake) and for the replay of its inputs (tests.cmake); ci/fuzz reads fuzz/targets.txt.

# Single sources of a layer whose library brings more than a reader: interposed calls, Boost.Process, the command line.
set(schedule_reader_sources harness/schedule/choices.cc harness/schedule/schedule_file.cc
    harness/schedule/schedule_input.cc harness/schedule/trials.cc)
set(start_line_reader_sources harness/launch/start_line.cc)
set(lane_reader_sources harness/launch/lane_reader.cc)
set(history_reader_sources fuzz/history_input.cc)
set(known_reader_sources stress/known_failures.cc stress/nearest.cc stress/selection.cc stress/settings.cc
    stress/toml_text.cc)
set(failure_reader_sources stress/failure_file.cc stress/fuzz_file.cc stress/nearest.cc stress/run_output.cc
    stress/selection.cc stress/terminal.cc
    stress/settings.cc stress/toml_text.cc)

file(GLOB hostile_peer_sources CONFIGURE_DEPENDS fuzz/hostile_*.cc)
list(FILTER hostile_peer_sources EXCLUDE REGEX "(_test|_fuzzer|_mutator)\\.cc$")
list(APPEND hostile_peer_sources fuzz/allocation_watch.cc)

# The controlled engine defines the C library's calls; its transports are a shared object.
set(controlled_fuzzers schedule)
# They run transports in processes of the free engine.
set(free_fuzzers scenario)

# Coverage over several processes; fuzz/shared_counters.h says why it is not instrumented itself.
if(ipctorture_coverage)
  set_source_files_properties(fuzz/shared_counters.cc PROPERTIES COMPILE_OPTIONS
    "-fno-sanitize=fuzzer-no-link,address,undefined")
endif()
add_library(shared_counters STATIC fuzz/shared_counters.cc fuzz/interleavings.cc)
target_link_libraries(shared_counters PUBLIC ipctorture_history)
function(share_counters target)
  if(NOT ipctorture_coverage)
    return()  # a replay
  endif()
  target_link_options(${target} PRIVATE "-Wl,-T,${CMAKE_SOURCE_DIR}/fuzz/counters.ld")
  set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS ${CMAKE_SOURCE_DIR}/fuzz/counters.ld)
endfunction()

# What workers run, instrumented: with sanitizers everything is.
if(IPCTORTURE_SANITIZE OR NOT ipctorture_coverage)
  add_library(fuzzed_transports ALIAS ipctorture_transports)
else()
  file(GLOB harness_transport CONFIGURE_DEPENDS harness/transport/*.cc)
  list(FILTER harness_transport EXCLUDE REGEX "_test\\.cc$")
  add_library(fuzzed_transports OBJECT ${transport_sources} ${harness_transport})
  target_compile_options(fuzzed_transports PRIVATE ${ipctorture_coverage})
  target_link_libraries(fuzzed_transports PUBLIC ipctorture_base ${transport_libraries})
  target_precompile_headers(fuzzed_transports PRIVATE ${pch_headers})
endif()

# fuzz_target(PROGRAM NAME): what both kinds of program have in common.
function(fuzz_target program name)
  file(GLOB mutator CONFIGURE_DEPENDS fuzz/${name}_mutator.cc)
  target_sources(${program} PRIVATE fuzz/${name}_fuzzer.cc ${mutator} ${${name}_sources})
  if(name IN_LIST controlled_fuzzers)
    target_link_libraries(${program} PRIVATE shared_counters ipctorture_explore_scenario ipctorture_launch
      "$<LINK_LIBRARY:WHOLE_ARCHIVE,ipctorture_schedule>" ipctorture-explore-sut ${CMAKE_DL_LIBS})
    target_link_options(${program} PRIVATE -rdynamic)
    set_target_properties(${program} PROPERTIES BUILD_RPATH "$ORIGIN")
    share_counters(${program})
    share_counters(ipctorture-explore-sut)
  elseif(name STREQUAL hostile_peer)
    target_link_libraries(${program} PRIVATE ipctorture_scenario fuzzed_transports)
  elseif(name IN_LIST free_fuzzers)
    target_link_libraries(${program} PRIVATE ipctorture_harness fuzzed_transports shared_counters)
    share_counters(${program})
  else()
    target_link_libraries(${program} PRIVATE ipctorture_report ipctorture_work ${json} fmt::fmt)
  endif()
endfunction()

# The targets that this build can have: OUT gets their names.
function(fuzz_target_names out)
  file(GLOB sources CONFIGURE_DEPENDS fuzz/*_fuzzer.cc)
  set(names)
  foreach(source IN LISTS sources)
    get_filename_component(name ${source} NAME_WE)
    string(REGEX REPLACE "_fuzzer$" "" name ${name})
    if(name IN_LIST controlled_fuzzers AND NOT TARGET ipctorture_schedule)
      continue()
    endif()
    if(name IN_LIST controlled_fuzzers AND IPCTORTURE_SANITIZE)
      continue()  # its runtime stands in the place of the sanitizers'
    endif()
    list(APPEND names ${name})
  endforeach()
  set(${out} ${names} PARENT_SCOPE)
endfunction()

# Writes what fuzzing begins with.
add_executable(make_seeds fuzz/make_seeds.cc fuzz/history_input.cc ${schedule_reader_sources}
               ${start_line_reader_sources} $<TARGET_OBJECTS:ipctorture_transports>)
target_link_libraries(make_seeds PRIVATE ipctorture_report ipctorture_work ${json} fmt::fmt ${transport_libraries})
if(ipctorture_coverage)
  target_link_options(make_seeds PRIVATE ${ipctorture_coverage})
endif()
