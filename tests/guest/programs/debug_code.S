/* Code that is single-stepped, each routine beside the list of addresses that its traps must show: a trap comes
 * after each instruction that starts with TF set, so the popf that clears TF is the last one to trap. */
  .text
  .macro TF_ON
  pushfq
  orl $0x100, (%rsp)
  popfq
  .endm
  .macro TF_OFF last
  pushfq
901:
  andl $~0x100, (%rsp)
902:
  popfq
\last:
  .endm

  .globl run_plain
run_plain:
  TF_ON
  nop
10:  movl $1, %eax
11:  movq %rax, scratch(%rip)
12:  addq scratch(%rip), %rax
13:  lock incq scratch(%rip)
14:  pushq %rax
15:  popq %rcx
16:  xchgq %rcx, scratch(%rip)
17:  cmpl %eax, %eax
18:  sete %al
19:  leaq 4(%rax), %rax
20:
  TF_OFF 22
  ret
  .section .rodata
  .globl steps_plain
  .balign 8
steps_plain: .quad 10b, 11b, 12b, 13b, 14b, 15b, 16b, 17b, 18b, 19b, 20b, 901b, 902b, 22b, 0
  .text

  .globl run_rep
run_rep:
  movl $3, %ecx
  leaq scratch(%rip), %rsi
  leaq scratch + 64(%rip), %rdi
  TF_ON
10:  rep movsb
11:  rep movsb
12:  movl $2, %ecx
13:  rep stosq
14:
  TF_OFF 22
  ret
  .section .rodata
  .globl steps_rep
  .balign 8
steps_rep: .quad 10b, 10b, 11b, 12b, 13b, 13b, 14b, 901b, 902b, 22b, 0
  .text

/* No trap between a load of SS and the instruction that follows. */
  .globl run_ss
run_ss:
  movl %ss, %eax
  TF_ON
  nop
10:  movl %eax, %ss
11:  nop
12:  nop
13:
  TF_OFF 22
  ret
  .section .rodata
  .globl steps_ss
  .balign 8
steps_ss: .quad 10b, 12b, 13b, 901b, 902b, 22b, 0
  .text

/* Instructions that a monitor emulates: each traps like any other. */
  .globl run_system
run_system:
  pushq %rbx
  TF_ON
  nop
10:  xorl %eax, %eax
11:  cpuid
12:  rdtsc
13:  movq %cr3, %rax
14:  movq %rax, %cr3
15:  movw $0x3fd, %dx
16:  inb %dx, %al
17:  sgdt scratch(%rip)
18:  movl %ds, %eax
19:  movl $0xC0000080, %ecx
20:  rdmsr
21:  wrmsr
22:  invlpg scratch(%rip)
23:  cli
24:
  TF_OFF 25
  popq %rbx
  ret
  .section .rodata
  .globl steps_system
  .balign 8
steps_system: .quad 10b, 11b, 12b, 13b, 14b, 15b, 16b, 17b, 18b, 19b, 20b, 21b, 22b, 23b, 24b, 901b, 902b, 25b, 0
  .text

  .globl run_branch
run_branch:
  TF_ON
  nop
10:  jmp 12f
11:  ud2
12:  xorl %eax, %eax
13:  jz 15f
14:  ud2
15:  jnz 14b
16:  call 30f
17:  leaq 19f(%rip), %rax
18:  jmp *%rax
19:  movl $2, %ecx
20:  loop 20b
21:
  TF_OFF 22
  ret
30:  ret
  .section .rodata
  .globl steps_branch
  .balign 8
steps_branch: .quad 10b, 12b, 13b, 15b, 16b, 30b, 17b, 18b, 19b, 20b, 20b, 21b, 901b, 902b, 22b, 0
  .text

  .globl run_popf
run_popf:
  TF_ON
  nop
10:  pushfq
11:  popq pushed_flags(%rip)
12:  pushq pushed_flags(%rip)
13:  popfq
14:  nop
15:
  TF_OFF 22
  ret
  .section .rodata
  .globl steps_popf
  .balign 8
steps_popf: .quad 10b, 11b, 12b, 13b, 14b, 15b, 901b, 902b, 22b, 0
  .text

  .globl break_routine, break_here
break_routine:
  movl $41, %eax
break_here:
  incl %eax
  ret

  .bss
  .balign 64
scratch: .skip 256
  .globl pushed_flags
pushed_flags: .skip 8
  .section .note.GNU-stack, "", @progbits
