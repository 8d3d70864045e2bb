# Writes HEADER, "version/version.h".  Run by the target version_header; see Version.cmake.
#
# The commit is that of SOURCE itself, "-dirty" with uncommitted changes, and "unknown" without git or outside a repository:
# an unpacked archive inside somebody else's repository is not a commit of theirs.
set(git git --no-optional-locks -c safe.directory=* -C ${SOURCE})
execute_process(COMMAND ${git} rev-parse --show-prefix
  OUTPUT_VARIABLE prefix OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE outside ERROR_QUIET)
set(commit unknown)
if(outside EQUAL 0 AND prefix STREQUAL "")
  execute_process(COMMAND ${git} describe --always --dirty --abbrev=12 --match=v[0-9]*
    OUTPUT_VARIABLE described OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(described)
    set(commit ${described})
  endif()
endif()
if(SANITIZE)
  string(APPEND FLAGS " -fsanitize=${SANITIZE}")
endif()

set(lines "/* version/version.h - what this build is.  Written by cmake/write_version.cmake. */
#ifndef VERSION_VERSION_H
#define VERSION_VERSION_H
")
foreach(fact "COMMIT;${commit}" "COMPILER;${COMPILER}" "BUILD_TYPE;${BUILD_TYPE}" "FLAGS;${FLAGS}")
  list(POP_FRONT fact name)
  string(REPLACE "\\" "\\\\" fact "${fact}")
  string(REPLACE "\"" "\\\"" fact "${fact}")
  string(APPEND lines "#define SLUICE_${name} \"${fact}\"\n")
endforeach()
string(APPEND lines "#endif\n")

set(before "")
if(EXISTS ${HEADER})
  file(READ ${HEADER} before)
endif()
if(NOT before STREQUAL lines)
  file(WRITE ${HEADER} "${lines}")
endif()
