# No fuzz target uses it.
add_library(CLI11::CLI11 INTERFACE IMPORTED)
