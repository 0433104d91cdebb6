# The same function inside the tree and after find_package(ipctorture).
#
#   ipctorture_add_transport(mine mine.cc LINK mylib)
#
# An executable `mine` with every verb of ipctorture over the transports that its sources register.
function(ipctorture_add_transport name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LINK")
  if(NOT arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "ipctorture_add_transport(${name}): name at least one source file")
  endif()
  # Objects, never a static library: the linker would drop a transport that nobody calls.
  add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ipctorture::main ${arg_LINK})
endfunction()
