# The controlled engine in this tree: what the instrumented side consists of, and the executable ipctorture-explore.
# docs/controlled-execution.md says why there are two sides; add_explorer.cmake builds both, here and outside.
if(IPCTORTURE_SANITIZE)
  return()  # another runtime has the same names
endif()
include(ci/cmake/add_explorer.cmake)

# base/ and transport/ as transports run them under control.
file(GLOB controlled_sources CONFIGURE_DEPENDS harness/base/*.cc harness/transport/*.cc)
list(FILTER controlled_sources EXCLUDE REGEX "_test\\.cc$")
add_library(ipctorture_controlled STATIC ${controlled_sources} harness/schedule/sut.cc)
target_link_libraries(ipctorture_controlled PUBLIC ipctorture_headers)
target_compile_options(ipctorture_controlled PRIVATE ${ipctorture_controlled_options})
target_compile_definitions(ipctorture_controlled PRIVATE IPCTORTURE_CONTROLLED)

add_library(ipctorture_explore_scenario STATIC harness/explore_scenario.cc)
# Not the schedule layer: an executable links that whole, and once (ipctorture_add_explorer).
target_link_libraries(ipctorture_explore_scenario PUBLIC ipctorture_work ipctorture_check)
file(GLOB explore_sources CONFIGURE_DEPENDS stress/explore/*.cc)
list(FILTER explore_sources EXCLUDE REGEX "(_test|/main)\\.cc$")
add_library(ipctorture_explore_cli STATIC ${explore_sources})
target_link_libraries(ipctorture_explore_cli PUBLIC ipctorture_cli ipctorture_explore_scenario PRIVATE ${json})
target_precompile_headers(ipctorture_explore_cli PRIVATE ${pch_headers})
add_library(ipctorture_explore_main STATIC stress/explore/main.cc)
target_link_libraries(ipctorture_explore_main PUBLIC ipctorture_explore_cli)

foreach(name controlled schedule explore_main)
  add_library(ipctorture::${name} ALIAS ipctorture_${name})
endforeach()
ipctorture_add_explorer(ipctorture-explore ${transport_sources} LINK ${transport_libraries})
add_dependencies(ipctorture ipctorture-explore)
