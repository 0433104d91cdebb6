# What a project outside this tree needs to add a transport: the headers that an adapter may include, the harness
# as static libraries, and a package for find_package(ipctorture). ci/test-install proves that it is enough.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
include(ci/cmake/add_transport.cmake)

add_library(ipctorture::main ALIAS ipctorture_main)  # the name it has outside

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/ipctorture)
set(archives ${ipctorture_layers} ipctorture_cli ipctorture_main)
if(TARGET ipctorture-explore)
  list(APPEND archives ipctorture_controlled ipctorture_explore_scenario ipctorture_explore_cli ipctorture_explore_main)
endif()
foreach(target IN LISTS archives ITEMS ipctorture_headers)
  string(REPLACE ipctorture_ "" export_name ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${export_name})
endforeach()

install(TARGETS ipctorture RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
if(TARGET ipctorture-explore)
  set_target_properties(ipctorture-explore PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}/ipctorture")
  install(TARGETS ipctorture-explore RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  install(TARGETS ipctorture-explore-sut LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/ipctorture)
  install(FILES ci/cmake/add_explorer.cmake DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/ipctorture)
endif()
install(TARGETS ${archives} ipctorture_headers EXPORT ipctorture
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}/ipctorture)
install(DIRECTORY harness/base harness/transport DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/ipctorture/harness
  FILES_MATCHING PATTERN *.h)
install(EXPORT ipctorture NAMESPACE ipctorture:: FILE ipctorture-targets.cmake DESTINATION ${package_dir})
configure_package_config_file(ci/cmake/ipctorture-config.cmake.in ipctorture-config.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(ipctorture-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/ipctorture-config.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/ipctorture-config-version.cmake ci/cmake/add_transport.cmake DESTINATION ${package_dir})
