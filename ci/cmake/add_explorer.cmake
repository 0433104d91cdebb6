# The controlled engine's executable for some transports, in the tree and after find_package(ipctorture).
#
#   ipctorture_add_explorer(NAME SOURCES... LINK library...)
#
# NAME-sut is a shared object: the transports, and the harness code that they run, compiled wholly instrumented; its
# symbols are hidden but for the border in harness/schedule/sut.h, so that the linker never merges one of its inline
# functions with a plain copy. NAME is the executable: callbacks, interposed calls, checkers. Both lie side by side.
set(ipctorture_controlled_options
  -fsanitize=thread -fno-builtin -fno-omit-frame-pointer -fvisibility=hidden -fPIC -fno-plt
  "$<$<CXX_COMPILER_ID:Clang>:SHELL:-mllvm -tsan-instrument-func-entry-exit=0>"
  "$<$<CXX_COMPILER_ID:GNU>:--param=tsan-instrument-func-entry-exit=0>"
  "$<$<CXX_COMPILER_ID:GNU>:-Wno-tsan>"  # our runtime knows fences
  ${ipctorture_coverage})

# ipctorture_add_instrumented(NAME BORDER SOURCES... LINK library...): the shared object alone; BORDER is the pattern
# of the symbols that it shows.
function(ipctorture_add_instrumented name border_symbols)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "LINK")
  set(border ${CMAKE_CURRENT_BINARY_DIR}/${name}.map)
  file(WRITE ${border} "{ global: ${border_symbols}; local: *; };\n")
  add_library(${name} SHARED ${arg_UNPARSED_ARGUMENTS})
  target_compile_options(${name} PRIVATE ${ipctorture_controlled_options})
  target_compile_definitions(${name} PRIVATE IPCTORTURE_CONTROLLED)
  target_link_libraries(${name} PRIVATE
    "$<LINK_LIBRARY:WHOLE_ARCHIVE,ipctorture::controlled>" ${arg_LINK})
  # What the executable defines is undefined here. Copies and comparisons are wrapped: the compilers leave them as
  # plain calls.
  # Bound at once: a snapshot puts its variables back, and addresses found meanwhile would go with them.
  target_link_options(${name} PRIVATE -Wl,-z,undefs -Wl,-z,now -Wl,-z,relro -Wl,--version-script=${border}
    -Wl,--wrap=memcpy,--wrap=memmove,--wrap=memset,--wrap=memcmp,--wrap=bcmp,--wrap=memchr
    -Wl,--wrap=strlen,--wrap=strcmp,--wrap=strncmp,--wrap=strcpy,--wrap=stpcpy,--wrap=strncpy,--wrap=strcat)
  set_target_properties(${name} PROPERTIES PREFIX "" LINK_DEPENDS ${border})
endfunction()

function(ipctorture_add_explorer name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LINK")
  ipctorture_add_instrumented(${name}-sut "ipctorture_sut_*" ${arg_UNPARSED_ARGUMENTS} LINK ${arg_LINK})

  file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/${name}-main.cc.in "// main() comes from ipctorture::explore_main.\n")
  configure_file(${CMAKE_CURRENT_BINARY_DIR}/${name}-main.cc.in ${CMAKE_CURRENT_BINARY_DIR}/${name}-main.cc COPYONLY)
  add_executable(${name} ${CMAKE_CURRENT_BINARY_DIR}/${name}-main.cc)
  target_link_libraries(${name} PRIVATE ipctorture::explore_main
    # All of it: nobody but the shared object refers to what it interposes.
    "$<LINK_LIBRARY:WHOLE_ARCHIVE,ipctorture::schedule>" ${name}-sut ${CMAKE_DL_LIBS})
  if(ipctorture_coverage)
    set_target_properties(${name} PROPERTIES EXCLUDE_FROM_ALL ON)  # coverage is counted by a fuzzer's runtime alone
  endif()
  target_link_options(${name} PRIVATE -rdynamic)  # libraries of the transport bind to our calls too
  foreach(target ${name} ${name}-sut)
    set_target_properties(${target} PROPERTIES BUILD_RPATH "$ORIGIN" INSTALL_RPATH "$ORIGIN"
      LIBRARY_OUTPUT_DIRECTORY "${CMAKE_RUNTIME_OUTPUT_DIRECTORY}"
      RUNTIME_OUTPUT_DIRECTORY "${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  endforeach()
endfunction()
