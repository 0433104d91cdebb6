find_path(IPCTORTURE_JSON nlohmann/json.hpp HINTS ENV CPLUS_INCLUDE_PATH REQUIRED)
add_library(nlohmann_json::nlohmann_json INTERFACE IMPORTED)
target_include_directories(nlohmann_json::nlohmann_json INTERFACE ${IPCTORTURE_JSON})
