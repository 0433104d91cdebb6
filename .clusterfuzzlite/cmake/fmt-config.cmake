# As headers alone: the library of the system may be built with another C++ library.
find_path(IPCTORTURE_FMT fmt/format.h HINTS ENV CPLUS_INCLUDE_PATH REQUIRED)
add_library(fmt::fmt INTERFACE IMPORTED)
target_include_directories(fmt::fmt INTERFACE ${IPCTORTURE_FMT})
target_compile_definitions(fmt::fmt INTERFACE FMT_HEADER_ONLY)
