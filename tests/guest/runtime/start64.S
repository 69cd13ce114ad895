/* Start of a 64-bit guest program: Multiboot entry in 32-bit protected mode, an identity map of the first
 * 4 GiB in 2 MiB pages, then long mode (SDM volume 3, 10.8.5). The 2 MiB at kUserBase are the only user
 * page: the linker script puts everything that runs in ring 3 there. */
#include "start.inc"
MULTIBOOT_HEADER

  .section .text.start, "ax"
  .code32
  .globl _start
_start:
  cli
  cld
  movl $boot_stack_top, %esp
  movl %eax, boot_magic
  movl %ebx, boot_info

  /* Four page directories, one after the other: 2048 entries of 2 MiB. */
  movl $boot_pd, %edi
  movl $0x83, %eax
1:
  movl %eax, (%edi)
  movl $0, 4(%edi)
  addl $0x200000, %eax
  addl $8, %edi
  cmpl $boot_pd + 4 * 4096, %edi
  jne 1b
  orl $4, boot_pd + 2 * 8    /* 0x400000: user */

  movl $boot_pdpt, %edi
  movl $boot_pd + 7, %eax
2:
  movl %eax, (%edi)
  addl $4096, %eax
  addl $8, %edi
  cmpl $boot_pdpt + 32, %edi
  jne 2b
  movl $boot_pdpt + 7, boot_pml4

  movl $boot_pml4, %eax
  movl %eax, %cr3
  movl $0x20, %eax           /* PAE */
  movl %eax, %cr4
  movl $0xC0000080, %ecx
  rdmsr
  orl $0x900, %eax           /* LME, NXE */
  wrmsr
  movl $0x80010033, %eax     /* PG WP NE ET MP PE */
  movl %eax, %cr0
  lgdt boot_gdtr
  ljmp $0x08, $start64

  .code64
start64:
  movl $0x10, %eax
  movl %eax, %ds
  movl %eax, %es
  movl %eax, %ss
  xorl %eax, %eax
  movl %eax, %fs
  movl %eax, %gs
  movq $boot_stack_top, %rsp
  call runtime_init
  call program
  call finish

  .data
  .balign 8
boot_gdtr:
  .word 0x1FF
  .long gdt, 0

  .bss
  .balign 4096
  .globl boot_pml4, boot_pdpt, boot_pd
boot_pml4: .skip 4096
boot_pdpt: .skip 4096
boot_pd:   .skip 4 * 4096
  .skip 65536
  .globl boot_stack_top
boot_stack_top:
  .globl boot_magic, boot_info
boot_magic: .skip 8
boot_info:  .skip 8
  .section .note.GNU-stack, "", @progbits
