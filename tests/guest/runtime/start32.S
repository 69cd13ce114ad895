/* Start of a 32-bit guest program: Multiboot leaves it in flat protected mode without paging, it takes its
 * own descriptor tables and stack and stays there. */
#include "start.inc"
MULTIBOOT_HEADER

  .section .text.start, "ax"
  .globl _start
_start:
  cli
  cld
  movl $boot_stack_top, %esp
  movl %eax, boot_magic
  movl %ebx, boot_info
  movl $0x33, %eax           /* NE ET MP PE */
  movl %eax, %cr0
  lgdt boot_gdtr
  ljmp $0x08, $1f
1:
  movl $0x10, %eax
  movl %eax, %ds
  movl %eax, %es
  movl %eax, %ss
  movl %eax, %fs
  movl %eax, %gs
  call runtime_init
  call program
  call finish

  .data
  .balign 8
boot_gdtr:
  .word 0x1FF
  .long gdt

  .bss
  .balign 4096
  .skip 65536
  .globl boot_stack_top
boot_stack_top:
  .globl boot_magic, boot_info
boot_magic: .skip 4
boot_info:  .skip 4
  .section .note.GNU-stack, "", @progbits
