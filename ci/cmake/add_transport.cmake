# The same function inside the tree and after find_package(ipctorture).
#
#   ipctorture_add_transport(mine mine.cc LINK mylib)
#
# An executable `mine` with every verb of ipctorture over the transports that its sources register, and beside it
# `mine-explore`, which `mine explore` starts: the same sources, instrumented. There the LINK libraries go into a shared
# object: they must be position-independent. With NO_EXPLORE it is left out.
function(ipctorture_add_transport name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "NO_EXPLORE" "" "LINK")
  if(NOT arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "ipctorture_add_transport(${name}): name at least one source file")
  endif()
  # Objects, never a static library: the linker would drop a transport that nobody calls.
  add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ipctorture::main ${arg_LINK})
  if(COMMAND ipctorture_add_explorer AND NOT arg_NO_EXPLORE)
    ipctorture_add_explorer(${name}-explore ${arg_UNPARSED_ARGUMENTS} LINK ${arg_LINK})
    add_dependencies(${name} ${name}-explore)
  endif()
endfunction()
