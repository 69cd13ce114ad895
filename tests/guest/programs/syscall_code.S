/* Kernel entries that record what they see, and the ring 3 side of the calls. */
  .text
  .globl syscall_entry
syscall_entry:
  movq %rsp, seen + 16
  movq %rcx, seen
  movq %r11, seen + 8
  movq $record_stack, %rsp
  pushfq
  popq seen + 24
  movl %cs, %eax
  movq %rax, seen + 32
  movl %ss, %eax
  movq %rax, seen + 40
  incq seen + 48
  movq seen + 16, %rsp
  movl $0x5CA11, %eax
  sysretq

  .globl syscall_entry_compat
syscall_entry_compat:
  movq %rsp, seen + 16
  movq %rcx, seen
  addq $0x100, seen + 48
  sysretl

/* The convention of these tests: edx is where to return to, ecx the stack. */
  .globl sysenter_entry
sysenter_entry:
  movq %rsp, seen + 16
  pushfq
  popq seen + 24
  movl %cs, %eax
  movq %rax, seen + 32
  movl %ss, %eax
  movq %rax, seen + 40
  incq seen + 48
  testl %esi, %esi
  jnz 1f
  sysexitl
1:
  sysexitq

  .globl sysret_here, sysretl_here, sysexitq_here
sysret_here:
  movq %rdi, %rcx
  movq %rsi, %r11
  sysretq
sysretl_here:
  movq %rdi, %rcx
  movq %rsi, %r11
  sysretl
sysexitq_here:
  movq %rdi, %rdx
  movq %rsi, %rcx
  sysexitq

  .bss
  .balign 16
  .globl seen
seen: .skip 56
  .balign 16
  .skip 512
record_stack:

  .section .user.text, "ax"
  .globl user_syscall64, user_syscall64_next
user_syscall64:
  syscall
user_syscall64_next:
  int $0x80

  .globl user_report
user_report:
  int $0x80

  .globl user_sysenter64
user_sysenter64:
  leaq user_report(%rip), %rdx
  movq %rsp, %rcx
  movl $1, %esi
  sysenter

  .code32
  .globl user_syscall32, user_syscall32_next
user_syscall32:
  syscall
user_syscall32_next:
  int $0x80

  .globl user_sysenter32
user_sysenter32:
  movl $user_report, %edx
  movl %esp, %ecx
  movl $0, %esi             /* keeps CF */
  sysenter
  .section .note.GNU-stack, "", @progbits
