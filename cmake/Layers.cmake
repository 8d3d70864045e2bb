# Layers: the arrows of docs/architecture.md, enforced by the compiler.
#
#   layer(<room> FILES a.c b.c NEEDS <targets>...)
#
# makes the static library <room> from files of the current folder.  Sources include project headers as "room/file.h".
# A room's headers can be found only through its door, a link <build>/include/<room>/<room> -> <source>/<room>, which is on
# the include path of the targets that NEED the room and of no others: a file of model/ that includes "io/h5.h", <mpi.h>
# or <hdf5.h> does not compile.  What a room needs is its own affair: its users get its headers and link what it stands on,
# but do not see through it.  tests/layering proves it.

add_library(flags INTERFACE) # the one place where language and warnings are chosen
target_compile_features(flags INTERFACE c_std_17)
target_compile_definitions(flags INTERFACE _GNU_SOURCE)
target_compile_options(flags INTERFACE -Wall -Wextra -Wshadow -Wvla -Wmissing-prototypes -Wstrict-prototypes
  -Wpointer-arith -Wwrite-strings -Wformat=2 -fno-common $<$<BOOL:${SLUICE_WERROR}>:-Werror>)
set_property(TARGET flags PROPERTY INTERFACE_POSITION_INDEPENDENT_CODE ON)
target_link_libraries(flags INTERFACE m)
if(SLUICE_SANITIZE)
  target_compile_options(flags INTERFACE -fsanitize=${SLUICE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(flags INTERFACE -fsanitize=${SLUICE_SANITIZE})
endif()

# room_headers(<target> <folder>): let users of <target> include "<folder>/x.h".
function(room_headers target folder)
  set(door ${PROJECT_BINARY_DIR}/include/${target})
  file(MAKE_DIRECTORY ${door})
  file(CREATE_LINK ${PROJECT_SOURCE_DIR}/${folder} ${door}/${folder} SYMBOLIC)
  target_include_directories(${target} PUBLIC ${door})
endfunction()

function(layer room)
  cmake_parse_arguments(L "" "" "FILES;NEEDS" ${ARGN})
  add_library(${room} STATIC ${L_FILES})
  target_link_libraries(${room} PUBLIC flags err PRIVATE ${L_NEEDS})
  set_target_properties(${room} PROPERTIES ROOM_NEEDS "${L_NEEDS}")
  room_headers(${room} ${room})
endfunction()

# inside(<target> <targets>...): let a program see what files of these rooms see, and link them.
function(inside target)
  target_link_libraries(${target} PRIVATE flags err ${ARGN})
  foreach(room IN LISTS ARGN)
    if(TARGET ${room})
      target_link_libraries(${target} PRIVATE $<TARGET_PROPERTY:${room},ROOM_NEEDS>)
    endif()
  endforeach()
endfunction()

# err: how failure is told, and digests of bytes.  Two files of io/ that need nothing above libc and Nettle, so every room
# may use them; their headers alone are let out.
add_library(err STATIC ${PROJECT_SOURCE_DIR}/io/err.c ${PROJECT_SOURCE_DIR}/io/digest.c)
target_link_libraries(err PUBLIC flags PRIVATE PkgConfig::NETTLE)
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/include/err/io)
foreach(header err.h digest.h)
  file(CREATE_LINK ${PROJECT_SOURCE_DIR}/io/${header} ${PROJECT_BINARY_DIR}/include/err/io/${header} SYMBOLIC)
endforeach()
target_include_directories(err PUBLIC ${PROJECT_BINARY_DIR}/include/err)
