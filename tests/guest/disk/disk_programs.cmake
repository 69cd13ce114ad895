# Programs that a BIOS boots: an image of a boot sector and what it loads, from a floppy or a disk. <name>.c is 16-bit code,
# <name>_32.c, if there is one, 32-bit code of the same image, and <name>_code.S both. README.md says more.
set(DISK_PROGRAMS services monitor unreal)

set(here ${CMAKE_CURRENT_SOURCE_DIR}/disk)
file(GLOB shared CONFIGURE_DEPENDS ${here}/*.h ${here}/disk.ld ${runtime}/*.h)
set(disk_flags
    -std=gnu17 -Os -g0 -march=i486 -ffreestanding -fno-pic -no-pie -static -nostdlib -fno-stack-protector
    -fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns -fno-strict-aliasing
    -fno-delete-null-pointer-checks # the interrupt vector table is at 0
    -fcf-protection=none -mgeneral-regs-only --param=min-pagesize=0 -Wall -Wextra -Werror -I${here} -I${runtime}
    -Wl,-T,${here}/disk.ld -Wl,--build-id=none -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments)

function(disk_program name)
  set(output ${GUEST_DIR}/disk/${name}.img)
  set(sources ${here}/boot.S ${here}/bios.S ${here}/${name}.c ${runtime}/report.c)
  if(EXISTS ${here}/${name}_code.S)
    list(APPEND sources ${here}/${name}_code.S)
  endif()
  set(half)
  set(half_source)
  set(compile_half)
  if(EXISTS ${here}/${name}_32.c)
    set(half ${output}.32.o)
    set(half_source ${here}/${name}_32.c)
    set(compile_half COMMAND ${CMAKE_C_COMPILER} -m32 ${disk_flags} -c ${here}/${name}_32.c -o ${half})
  endif()
  add_custom_command(
    OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${GUEST_DIR}/disk
    ${compile_half}
    COMMAND ${CMAKE_C_COMPILER} -m16 ${disk_flags} ${sources} ${half} -o ${output}.link
    COMMAND ${CMAKE_OBJCOPY} -O binary ${output}.link ${output}
    COMMAND ${CMAKE_COMMAND} -E rm ${output}.link ${half}
    DEPENDS ${sources} ${half_source} ${shared}
    COMMENT "Guest program ${name} for the BIOS" VERBATIM)
  set_property(GLOBAL APPEND PROPERTY guest_outputs ${output})
endfunction()

foreach(name ${DISK_PROGRAMS})
  disk_program(${name})
endforeach()
