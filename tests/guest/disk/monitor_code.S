/* The ways into and out of the monitor, and its trap stubs. */
  .text
  .code16
  .globl enter_monitor
enter_monitor:
  pushl %ebp
  pushl %ebx
  pushl %esi
  pushl %edi
  movl %esp, real_esp
  cli
  lgdtl gdt_pointer
  lidtl idt_pointer
  movl %cr0, %eax
  orb $1, %al
  movl %eax, %cr0
  ljmpl $0x08, $in_protected

  .code32
in_protected:
  movw $0x10, %ax
  movw %ax, %ds
  movw %ax, %es
  movw %ax, %fs
  movw %ax, %gs
  movw %ax, %ss
  movl $monitor_stack_end, %esp
  call monitor_start
  /* The task's first state: all segments 0, its own stack, IOPL 0, interrupts on. */
  xorl %eax, %eax
  pushl %eax                    /* gs fs ds es ss */
  pushl %eax
  pushl %eax
  pushl %eax
  pushl %eax
  pushl $0x6F00                 /* esp */
  pushl $0x20202                /* VM, IF */
  pushl %eax                    /* cs */
  pushl $task
  iretl

/* Out again: paging off, a 16-bit code segment, protection off. */
  .globl leave_monitor
leave_monitor:
  cli
  movl %cr0, %eax
  andl $0x7FFFFFFF, %eax
  movl %eax, %cr0
  ljmp $0x18, $1f
  .code16
1:
  movw $0x20, %ax               /* 64 KiB limits, as real mode has them */
  movw %ax, %ds
  movw %ax, %es
  movw %ax, %fs
  movw %ax, %gs
  movw %ax, %ss
  movl %cr0, %eax
  andb $0xFE, %al
  movl %eax, %cr0
  ljmp $0, $1f
1:
  xorw %ax, %ax
  movw %ax, %ds
  movw %ax, %es
  movw %ax, %fs
  movw %ax, %gs
  movw %ax, %ss
  movl real_esp, %esp
  lidtl real_idt_pointer
  sti
  popl %edi
  popl %esi
  popl %ebx
  popl %ebp
  retl

  .code32
  .globl stubs
  .balign 16
stubs:
  .set n, 0
  .rept 256
  .balign 16
  .if !(n == 8 || (n >= 10 && n <= 14) || n == 17)
  pushl $0
  .endif
  pushl $n
  jmp trap
  .set n, n + 1
  .endr
trap:
  cld
  pushal
  movw $0x10, %ax
  movw %ax, %ds
  movw %ax, %es
  pushl %esp
  call monitor_trap
  addl $4, %esp
  popal
  addl $8, %esp
  iretl

  .data
  .balign 8
  .globl gdt
gdt:
  .quad 0
  .quad 0x00CF9B000000FFFF      /* 08: flat code */
  .quad 0x00CF93000000FFFF      /* 10: flat data */
  .quad 0x00009B000000FFFF      /* 18: 16-bit code */
  .quad 0x000093000000FFFF      /* 20: 16-bit data */
  .quad 0                       /* 28: the TSS */
gdt_pointer:
  .word 6 * 8 - 1
  .long gdt
idt_pointer:
  .word 256 * 8 - 1
  .long idt
real_idt_pointer:
  .word 0x3FF
  .long 0

  .bss
  .balign 16
real_esp:
  .space 4
  .space 2048
  .globl monitor_stack_end
monitor_stack_end:
