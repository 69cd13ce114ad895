/* Where a SIPI starts a processor: real mode at a page below 1 MiB, to which this is copied, then long mode with the
 * bootstrap processor's tables (SDM volume 3, 9.4.4 and 10.8.5). */
  .text
  .code16
  .globl ap_trampoline, ap_trampoline_end
ap_trampoline:
  cli
  cld
  movw %cs, %ax
  movw %ax, %ds
  lgdtl ap_gdtr - ap_trampoline
  movl %cr0, %eax
  orl $1, %eax
  movl %eax, %cr0
  ljmpl $0x38, $ap_start32
  .balign 4
ap_gdtr:
  .word 0x1FF
  .long gdt
ap_trampoline_end:

  .code32
ap_start32:
  movl $0x10, %eax
  movl %eax, %ds
  movl %eax, %es
  movl %eax, %ss
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
  ljmp $0x08, $ap_start64

  .code64
ap_start64:
  xorl %eax, %eax
  movl %eax, %fs
  movl %eax, %gs
  movl $1, %eax
  cpuid
  shrl $24, %ebx             /* the initial APIC ID finds the stack */
  movl %ebx, %edi
  incl %ebx
  shll $13, %ebx
  leaq ap_stacks(%rbx), %rsp
  call ap_main
  ud2

  .bss
  .balign 4096
ap_stacks: .skip 128 * 8192
  .section .note.GNU-stack, "", @progbits
