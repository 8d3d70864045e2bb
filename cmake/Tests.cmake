# Tests: cmocka programs under CTest.
#
#   check(<name> FILES test.c ... NEEDS <targets>... [RANKS 1 2 4] [ARGS ...] [ENV A=B ...] [TIMEOUT s])
#
# One CTest entry, or with RANKS one for each number of MPI ranks.  Every test runs in a folder of its own.  A test that
# NEEDS a room may include what the room itself may include.
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
find_program(PYTHON_WITH_H5PY NAMES python3 PATHS /usr/bin NO_DEFAULT_PATH)
if(SLUICE_SANITIZE)
  set(SANITIZER_ENVIRONMENT
    "LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/leaks.supp:print_suppressions=0" "UBSAN_OPTIONS=print_stacktrace=1")
endif()
set(MPIRUN_FOR_TESTS ${MPIEXEC_EXECUTABLE} --allow-run-as-root --oversubscribe --bind-to none)

function(check name)
  cmake_parse_arguments(C "" "TIMEOUT" "FILES;NEEDS;RANKS;ARGS;ENV" ${ARGN})
  if(NOT C_TIMEOUT)
    set(C_TIMEOUT 120)
  endif()
  if(SLUICE_SANITIZE) # several times slower
    math(EXPR C_TIMEOUT "5 * ${C_TIMEOUT}")
  endif()
  add_executable(${name} ${C_FILES})
  inside(${name} ${C_NEEDS} PkgConfig::CMOCKA)
  target_compile_definitions(${name} PRIVATE SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  if(NOT C_RANKS)
    scratch_folder(${name} folder)
    add_test(NAME ${name} COMMAND ${name} ${C_ARGS} WORKING_DIRECTORY ${folder})
    set_tests_properties(${name} PROPERTIES TIMEOUT ${C_TIMEOUT} ENVIRONMENT "${C_ENV};OMP_NUM_THREADS=1;${SANITIZER_ENVIRONMENT}")
  endif()
  foreach(ranks IN LISTS C_RANKS)
    scratch_folder(${name}-${ranks} folder)
    add_test(NAME ${name}-${ranks} COMMAND ${MPIRUN_FOR_TESTS} -n ${ranks} $<TARGET_FILE:${name}> ${C_ARGS}
      WORKING_DIRECTORY ${folder})
    set_tests_properties(${name}-${ranks} PROPERTIES TIMEOUT ${C_TIMEOUT} ENVIRONMENT "${C_ENV};OMP_NUM_THREADS=1;${SANITIZER_ENVIRONMENT}"
      PROCESSORS 2)
  endforeach()
endfunction()

# scratch_folder(<test> <variable>): an empty folder for the test's own files.
function(scratch_folder test variable)
  set(folder ${PROJECT_BINARY_DIR}/scratch/${test})
  file(MAKE_DIRECTORY ${folder})
  set(${variable} ${folder} PARENT_SCOPE)
endfunction()
