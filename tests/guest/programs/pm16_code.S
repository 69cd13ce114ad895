/* 16-bit protected-mode code. Selector 50 is its code (base pm16_blob), 58 the 64 KiB that start at pm16_data as data and
 * stack, 60 a 16-bit call gate. */
  .text
/* u32 pm16_call(u32 offset): a far call with a 32-bit offset into the 16-bit segment, which returns by lretl. */
  .globl pm16_call
pm16_call:
  pushal
  pushl %ds
  movl 40(%esp), %eax
  movl %eax, pm16_target
  movl %esp, pm16_esp
  movl $0x58, %eax
  movl %eax, %ds
  movl %eax, %ss
  movl $0xABCD8000, %esp
  lcall *%cs:pm16_target
  movl %esp, %ebx
  movl $0x10, %ecx
  movl %ecx, %ds
  movl %ecx, %ss
  movl pm16_esp, %esp
  movl %ebx, pm16_result + 4
  movl %eax, pm16_result
  popl %ds
  popal
  ret

/* 32-bit code that goes through the 16-bit gates; edi: where the findings go. */
  .globl pm16_caller, pm16_after_int
pm16_caller:
  movl %esp, %ebx
  xorl %eax, %eax
  lcall $0x60, $0
  movl %eax, (%edi)
  subl %esp, %ebx
  movl %ebx, 4(%edi)
  xorl %eax, %eax
  xorl %ecx, %ecx
  xorl %edx, %edx
  stc
  int $0x90
pm16_after_int:
  movl %eax, 8(%edi)
  movl %ecx, 12(%edi)
  movl %edx, 16(%edi)
  lretl

  .data
  .globl pm16_target
pm16_target:
  .long 0
  .word 0x50
  .bss
  .balign 16
pm16_esp: .skip 4
  .globl pm16_result, pm16_data
pm16_result: .skip 16
  .balign 4096
pm16_data: .skip 65536

  .section .rodata
  .code16
  .globl pm16_blob
pm16_blob:
  .macro ROUTINE name
  .globl \name
  \name = . - pm16_blob
  .endm
  ROUTINE pm16_stack
  movw %sp, %bx
  pushw $0x1122
  pushl $0x33445566
  movw %sp, %ax
  subw %ax, %bx
  popl %ecx
  popw %dx
  addl %ecx, %edx
  movw %bx, %ax
  shll $16, %eax
  movw %dx, %ax
  lretl
  ROUTINE pm16_near
  call 1f
  call 1f
  lretl
1:incw %ax
  retw
  ROUTINE pm16_wrap
  movw $0xFFF0, %bx
  movw $0x0030, %si
  movb $0x5A, 0x20
  xorl %eax, %eax
  movb (%bx,%si), %al
  lretl
  ROUTINE pm16_eip
  jmp 1f                      /* 16-bit jumps clear the upper half of eip */
  ud2
1:movl $0xFFFF0000, %eax
  call 2f
2:popw %ax
  subw $(2b - pm16_blob), %ax
  lretl
  ROUTINE pm16_wide
  movl $0x12345678, 0x40      /* 66 prefix */
  movl $0x40, %ebx
  addr32 movl (%ebx), %eax    /* 67 prefix */
  lretl
  ROUTINE pm16_gate
  movw $0x6060, %ax
  lretw
  ROUTINE pm16_handler
  addr32 movw (%esp), %ax     /* ip cs flags, 16 bits each, on the 32-bit stack */
  addr32 movw 4(%esp), %cx
  addr32 movw 2(%esp), %dx
  iretw
  .section .note.GNU-stack, "", @progbits
