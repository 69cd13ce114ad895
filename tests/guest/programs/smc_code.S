/* Routines that write to their own instructions. They start from a known state each time they are called. */
  .text
  .balign 64

  .globl smc_next_instruction
smc_next_instruction:
  movb $0x22, 1f + 1(%rip)
1:movb $0x11, %al
  movzbl %al, %eax
  movb $0x11, 1b + 1(%rip)
  ret

  .globl smc_next_wide
smc_next_wide:
  movq $0, %rax
  movq wide_patch(%rip), %rcx
  movq %rcx, 1f(%rip)
1:movl $0x11, %eax         /* b8 11 00 00 00 */
  nop
  nop
  nop
  ret
  .balign 8
wide_patch:
  movl $0x77, %eax
  nop
  nop
  nop

/* for i in 1..n: store i into the immediate of the next add */
  .balign 64
  .globl smc_own_loop
smc_own_loop:
  xorl %eax, %eax
  xorl %ecx, %ecx
1:incl %ecx
  movl %ecx, 2f + 1(%rip)
2:addl $0x12345678, %eax
  cmpq %rdi, %rcx
  jne 1b
  ret

/* rep stosb turns the 64 int3 that follow it into nop. They are put back afterwards by nobody: run once. */
  .balign 64
  .globl smc_rep_over_itself
smc_rep_over_itself:
  leaq 1f(%rip), %rdi
  movl $64, %ecx
  movb $0x90, %al
  rep stosb
1:.fill 64, 1, 0xCC
  movl $0x40, %eax
  ret

  .balign 64
  .globl smc_jump_target
smc_jump_target:
  leal 3f - 2f(%rip), %eax
  movb $0, %al
  testl %edi, %edi
  movb $(3f - 2f), %al
  jz 1f
  movb $(4f - 2f), %al
1:movb %al, 2f - 1(%rip)
  .byte 0xEB, 0
2:ud2
3:movl $0x10, %eax
  ret
4:movl $0x20, %eax
  ret

  .balign 64
  .globl smc_flags_across
smc_flags_across:
  xorl %eax, %eax
  cmpl $1, %eax             /* CF set */
  movb $0x92, 1f + 1(%rip)  /* the store keeps the flags; setb becomes what it already is */
1:setb %al
  movzbl %al, %eax
  ret

  .balign 64
  .globl smc_call_patches_return
smc_call_patches_return:
  movb $0x11, 1f + 1(%rip)
  call 2f
1:movl $0x11, %eax
  ret
2:movb $0x99, 1b + 1(%rip)
  ret

/* The store is many blocks before the patched instruction. */
  .balign 64
  .globl smc_far_ahead
smc_far_ahead:
  xorl %eax, %eax
1:movl %edi, 9f + 1(%rip)
  testl %edi, %edi
  jz 8f
  jmp 2f
  ud2
2:call 7f
9:addl $0x12345678, %eax
  decl %edi
  jmp 1b
7:ret
8:ret

  .balign 64
  .globl smc_locked
smc_locked:
  movb $0x33, %cl
  xchgb %cl, 1f + 1(%rip)
1:movl $0x11, %eax
  movb $0x11, 1b + 1(%rip)
  ret

  .balign 64
  .globl smc_opcode_to_ud
smc_opcode_to_ud:
  movw $0x0B0F, 1f(%rip)
  movq $1f, probe_ip
1:nop
  nop
  ret
  .section .note.GNU-stack, "", @progbits
