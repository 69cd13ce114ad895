/* bios(vector, registers), see bios.h. The stack stays usable throughout: SS is 0 and the BIOS gives ESP back. */
  .code16
  .text
  .globl bios
bios:
  pushl %ebp
  pushl %ebx
  pushl %esi
  pushl %edi
  movl 20(%esp), %eax
  movb %al, vector              /* code that changes itself, as old programs do */
  movl 24(%esp), %eax
  pushl 0(%eax)
  pushw 28(%eax)
  movl 4(%eax), %ebx
  movl 8(%eax), %ecx
  movl 12(%eax), %edx
  movl 16(%eax), %esi
  movl 20(%eax), %edi
  movl 24(%eax), %ebp
  movw 30(%eax), %es
  popw %ds
  popl %eax
  jmp 1f
1:
  .byte 0xCD
vector:
  .byte 0
  pushfl
  pushl %eax
  pushw %ds
  xorw %ax, %ax
  movw %ax, %ds
  movl 34(%esp), %eax           /* 10 bytes pushed since: the pointer */
  popw 28(%eax)
  popl 0(%eax)
  popl 32(%eax)
  movl %ebx, 4(%eax)
  movl %ecx, 8(%eax)
  movl %edx, 12(%eax)
  movl %esi, 16(%eax)
  movl %edi, 20(%eax)
  movl %ebp, 24(%eax)
  movw %es, 30(%eax)
  movw %ds, %cx                 /* 0 */
  movw %cx, %es
  cld
  popl %edi
  popl %esi
  popl %ebx
  popl %ebp
  retl

  /* What report.c refers to; nothing is caught here. */
  .bss
  .globl caught, probe_ip
  .balign 4
caught:
  .space 256
probe_ip:
  .space 4
