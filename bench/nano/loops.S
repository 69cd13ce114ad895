/* The loops that are timed: each does its operation as often as rdi says. Those of ring 3 take the number from
 * loop_count and end by int $0x80. Kept to the operation and its loop, so that a figure is about the
 * operation. */
  .text

/* callret: a call of a routine that returns, 16 call sites. Also linked into a program of the host. */
  .balign 64
  .globl loop_callret
loop_callret:
1:
  .rept 16
    call 2f
  .endr
  subq $16, %rdi
  ja 1b
  ret
  .balign 64
2:
  ret

#ifndef HOST
  .balign 64
  .globl loop_in_80
loop_in_80:
  inb $0x80, %al
  decq %rdi
  jnz loop_in_80
  ret

/* The line status register of the first serial port: a device that has to be asked. */
  .balign 64
  .globl loop_in_uart
loop_in_uart:
  movl $0x3fd, %edx
1:
  inb %dx, %al
  decq %rdi
  jnz 1b
  ret

  .balign 64
  .globl loop_cr8wr
loop_cr8wr:
  xorl %eax, %eax
1:
  movq %rax, %cr8
  xorl $8, %eax
  decq %rdi
  jnz 1b
  xorl %eax, %eax
  movq %rax, %cr8
  ret

/* ptemod: changes an available bit of entries, in use, of a page table: 512 in turn. */
  .balign 64
  .globl loop_ptemod
loop_ptemod:
  movq ptemod_table(%rip), %rsi
  xorl %ecx, %ecx
1:
  xorq $0x200, (%rsi, %rcx, 8)
  incl %ecx
  andl $511, %ecx
  decq %rdi
  jnz 1b
  ret

/* The same with what an operating system does next: invalidate the page, and touch it. */
  .balign 64
  .globl loop_remap
loop_remap:
  movq ptemod_table(%rip), %rsi
  movq ptemod_pages(%rip), %rdx
  xorl %ecx, %ecx
1:
  xorq $0x200, (%rsi, %rcx, 8)
  movq %rcx, %rax
  shlq $12, %rax
  invlpg (%rdx, %rax)
  movb (%rdx, %rax), %al
  incl %ecx
  andl $511, %ecx
  decq %rdi
  jnz 1b
  ret

  .balign 64
  .globl loop_cr3wr
loop_cr3wr:
  movq %cr3, %rax
1:
  movq %rax, %cr3
  decq %rdi
  jnz 1b
  ret

  .balign 64
  .globl loop_cli_sti
loop_cli_sti:
1:
  cli
  sti
  decq %rdi
  jnz 1b
  cli
  ret

  .balign 64
  .globl loop_pushf_popf
loop_pushf_popf:
1:
  pushfq
  popfq
  decq %rdi
  jnz 1b
  ret

  .balign 64
  .globl loop_swapgs
loop_swapgs:
1:
  swapgs
  swapgs
  subq $2, %rdi
  ja 1b
  ret

  .balign 64
  .globl loop_rdtsc
loop_rdtsc:
1:
  rdtsc
  decq %rdi
  jnz 1b
  ret

  .balign 64
  .globl loop_cpuid
loop_cpuid:
  pushq %rbx
1:
  xorl %eax, %eax
  cpuid
  decq %rdi
  jnz 1b
  popq %rbx
  ret

/* ---- handlers: the least that returns ---- */
  .balign 64
  .globl syscall_handler
syscall_handler:
  sysretq

/* Past the two bytes of the instruction that faulted. */
  .balign 64
  .globl divide_handler
divide_handler:
  addq $2, (%rsp)
  iretq

  .balign 64
  .globl page_fault_handler
page_fault_handler:
  addq $8, %rsp
  addq $2, (%rsp)
  iretq

  .balign 64
  .globl int_handler
int_handler:
  iretq

/* ---- ring 3 ---- */
  .section .user.text, "ax"
  .balign 64
  .globl user_syscall
user_syscall:
  movq loop_count(%rip), %rbx
1:
  syscall
  decq %rbx
  jnz 1b
  int $0x80

  .balign 64
  .globl user_divzero
user_divzero:
  movq loop_count(%rip), %rbx
  xorl %ecx, %ecx
1:
  divl %ecx
  decq %rbx
  jnz 1b
  int $0x80

/* A load from a page that is not present. */
  .balign 64
  .globl user_pgfault
user_pgfault:
  movq loop_count(%rip), %rbx
  movq absent_page(%rip), %rcx
1:
  movl (%rcx), %eax
  decq %rbx
  jnz 1b
  int $0x80

  .balign 64
  .globl user_int
user_int:
  movq loop_count(%rip), %rbx
1:
  int $0x81
  decq %rbx
  jnz 1b
  int $0x80
#endif
  .section .note.GNU-stack, "", @progbits
