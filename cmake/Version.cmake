# version: what this build is, for `sluice --version`, `sluice doctor` and the provenance of every result.
#
# Targets that link it may include "version/version.h" and know SLUICE_VERSION.  The header is looked at in every build and
# rewritten only when its text changes, so a new commit recompiles the few files that include it and nothing else.
set(VERSION_DOOR ${PROJECT_BINARY_DIR}/include/version)
set(VERSION_HEADER ${VERSION_DOOR}/version/version.h)
string(TOUPPER "${CMAKE_BUILD_TYPE}" build_type)
string(STRIP "${CMAKE_C_FLAGS} ${CMAKE_C_FLAGS_${build_type}}" flags)

add_custom_target(version_header BYPRODUCTS ${VERSION_HEADER}
  COMMAND ${CMAKE_COMMAND} -D SOURCE=${PROJECT_SOURCE_DIR} -D HEADER=${VERSION_HEADER} -D VERSION=${PROJECT_VERSION}
    -D "COMPILER=${CMAKE_C_COMPILER_ID} ${CMAKE_C_COMPILER_VERSION}" -D BUILD_TYPE=${CMAKE_BUILD_TYPE} -D "FLAGS=${flags}"
    -D "SANITIZE=${SLUICE_SANITIZE}" -P ${PROJECT_SOURCE_DIR}/cmake/write_version.cmake
  COMMENT "version.h" VERBATIM)

add_library(version INTERFACE)
add_dependencies(version version_header)
target_include_directories(version INTERFACE ${VERSION_DOOR})
target_compile_definitions(version INTERFACE SLUICE_VERSION="${PROJECT_VERSION}")
