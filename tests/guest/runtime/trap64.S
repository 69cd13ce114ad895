/* 64-bit: the 256 entry points of the IDT, the way into ring 3, and the recovery point of CATCH. */
  .text
  .balign 16
  .globl trap_stubs
trap_stubs:
  .set vector, 0
  .rept 256
    .balign 16
    .if (vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17) || (vector == 21)
    .else
      pushq $0
    .endif
    pushq $vector
    jmp trap_common
    .set vector, vector + 1
  .endr

  .balign 16
trap_common:
  pushq %rax
  pushq %rbx
  pushq %rcx
  pushq %rdx
  pushq %rsi
  pushq %rdi
  pushq %rbp
  pushq %r8
  pushq %r9
  pushq %r10
  pushq %r11
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  cld
  movq %rsp, %rdi
  call trap_dispatch
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %r11
  popq %r10
  popq %r9
  popq %r8
  popq %rbp
  popq %rdi
  popq %rsi
  popq %rdx
  popq %rcx
  popq %rbx
  popq %rax
  addq $16, %rsp
  iretq

/* int catch_begin(void): 0 the first time, 1 when a trap was caught. */
  .globl catch_begin
catch_begin:
  movl $-1, caught
  movl $1, catch_armed
  movq $0, probe_ip
  movq (%rsp), %rax
  movq %rax, catch_context
  leaq 8(%rsp), %rax
  movq %rax, catch_context + 8
  movq %rbx, catch_context + 16
  movq %rbp, catch_context + 24
  movq %r12, catch_context + 32
  movq %r13, catch_context + 40
  movq %r14, catch_context + 48
  movq %r15, catch_context + 56
  xorl %eax, %eax
  ret

/* Back to the recovery point from wherever a trap was taken: flat segments, flags at rest. */
  .globl catch_resume
catch_resume:
  movl $0x10, %eax
  movl %eax, %ds
  movl %eax, %es
  movl %eax, %ss
  movq catch_context + 16, %rbx
  movq catch_context + 24, %rbp
  movq catch_context + 32, %r12
  movq catch_context + 40, %r13
  movq catch_context + 48, %r14
  movq catch_context + 56, %r15
  movq catch_context + 8, %rsp
  pushq $2
  popfq
  movl $1, %eax
  jmpq *catch_context

/* void enter_ring(ip, sp, cs, ss, flags) */
  .globl enter_ring
enter_ring:
  pushq %rcx
  pushq %rsi
  pushq %r8
  pushq %rdx
  pushq %rdi
  iretq

  .section .user.text, "ax"
  .globl user_exit
user_exit:
  int $0x80

  .bss
  .balign 16
catch_context: .skip 64
  .section .note.GNU-stack, "", @progbits
