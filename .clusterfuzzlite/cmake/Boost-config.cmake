# No fuzz target uses it.
add_library(Boost::headers INTERFACE IMPORTED)
