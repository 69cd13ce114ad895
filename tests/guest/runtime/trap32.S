/* 32-bit: the 256 entry points of the IDT, the way into ring 3, and the recovery point of CATCH. */
  .text
  .balign 16
  .globl trap_stubs
trap_stubs:
  .set vector, 0
  .rept 256
    .balign 16
    .if (vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17) || (vector == 21)
    .else
      pushl $0
    .endif
    pushl $vector
    jmp trap_common
    .set vector, vector + 1
  .endr

  .balign 16
trap_common:
  pushal
  pushl %ds
  pushl %es
  pushl %fs
  pushl %gs
  movl $0x10, %eax
  movl %eax, %ds
  movl %eax, %es
  cld
  movl %esp, %eax
  /* A 16-bit stack segment leaves the upper half of esp undefined; such tests arrange for it to be zero. */
  pushl %eax
  call trap_dispatch
  addl $4, %esp
  popl %gs
  popl %fs
  popl %es
  popl %ds
  popal
  addl $8, %esp
  iretl

  .globl catch_begin
catch_begin:
  movl $-1, caught
  movl $1, catch_armed
  movl $0, probe_ip
  movl (%esp), %eax
  movl %eax, catch_context
  leal 4(%esp), %eax
  movl %eax, catch_context + 4
  movl %ebx, catch_context + 8
  movl %ebp, catch_context + 12
  movl %esi, catch_context + 16
  movl %edi, catch_context + 20
  xorl %eax, %eax
  ret

  .globl catch_resume
catch_resume:
  movl $0x10, %eax
  movl %eax, %ds
  movl %eax, %es
  movl %eax, %fs
  movl %eax, %gs
  movl %eax, %ss
  movl catch_context + 4, %esp
  movl catch_context + 8, %ebx
  movl catch_context + 12, %ebp
  movl catch_context + 16, %esi
  movl catch_context + 20, %edi
  pushl $2
  popfl
  movl $1, %eax
  jmpl *catch_context

/* void enter_ring(ip, sp, cs, ss, flags): data segments get the selector of the stack. */
  .globl enter_ring
enter_ring:
  movl 4(%esp), %eax
  movl 8(%esp), %ecx
  movl 12(%esp), %edx
  movl 16(%esp), %ebx
  movl 20(%esp), %esi
  pushl %ebx
  pushl %ecx
  pushl %esi
  pushl %edx
  pushl %eax
  movl %ebx, %ds
  movl %ebx, %es
  iretl

  .section .user.text, "ax"
  .globl user_exit
user_exit:
  int $0x80

  .bss
  .balign 16
catch_context: .skip 32
  .section .note.GNU-stack, "", @progbits
