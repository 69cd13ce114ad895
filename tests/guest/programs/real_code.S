/* Real-mode code, assembled to run at 1000:0000, and the way there and back from 32-bit protected mode
 * (SDM volume 3, 9.9.1 and 9.9.2). Results are words in a table at 1000:F000 that real.c reads. */
  .set kResults, 0xF000
  .macro RESULT index, register
  movw \register, %cs:kResults + 2 * \index
  .endm

  .text
/* void real_run(u32 offset): runs the routine at 1000:offset, which ends by lret. */
  .globl real_run
real_run:
  pushal
  movl 36(%esp), %eax
  movw %ax, 0x10000 + (real_target - real_blob)
  movl %esp, saved_esp
  sgdt saved_gdt
  sidt saved_idt
  lidt real_idt
  ljmp $0x50, $(real_enter - real_blob)
real_back:
  movl $0x10, %eax
  movl %eax, %ds
  movl %eax, %es
  movl %eax, %fs
  movl %eax, %gs
  movl %eax, %ss
  movl saved_esp, %esp
  lidt saved_idt
  popal
  ret

  .data
real_idt:
  .word 0x3FF
  .long 0

  .bss
saved_esp: .skip 4
  .globl saved_gdt
saved_gdt: .skip 8
saved_idt: .skip 8

  .section .rodata
  .globl real_blob, real_blob_end
  .code16
real_blob:
real_enter:                    /* 16-bit protected mode: selectors 50 (code) and 58 (data) have base 0x10000 */
  movw $0x58, %ax
  movw %ax, %ds
  movw %ax, %es
  movw %ax, %fs
  movw %ax, %gs
  movw %ax, %ss
  movl $0xE000, %esp
  movl %cr0, %eax
  andl $0xFFFFFFFE, %eax
  movl %eax, %cr0
  ljmp $0x1000, $(1f - real_blob)
1:
  movw %cs, %ax
  movw %ax, %ds
  movw %ax, %ss
  movw $0x2000, %ax
  movw %ax, %es
  xorw %ax, %ax
  movw %ax, %fs
  movw %ax, %gs
  lcall *%cs:(real_target - real_blob)
  cli
  lgdtl %cs:(gdt_pointer - real_blob)
  movl %cr0, %eax
  orl $1, %eax
  movl %eax, %cr0
  ljmpl $0x08, $real_back
real_target:
  .word 0, 0x1000
  .globl gdt_pointer
gdt_pointer:
  .skip 6

  .macro ROUTINE name
  .globl \name
  \name = . - real_blob
  .endm

/* A handler for any vector: keeps sp, saved ip, cs, flags and the flags inside. */
  .globl real_handler
  real_handler = . - real_blob
  pushw %bp
  movw %sp, %bp
  pushw %ax
  movw 2(%bp), %ax
  RESULT 16, %ax
  movw 4(%bp), %ax
  RESULT 17, %ax
  movw 6(%bp), %ax
  RESULT 18, %ax
  pushfw
  popw %ax
  RESULT 19, %ax
  incw %cs:kResults + 2 * 20
  /* A fault goes on where the routine said. */
  movw %cs:kResults + 2 * 21, %ax
  testw %ax, %ax
  jz 1f
  movw %ax, 2(%bp)
1:
  popw %ax
  popw %bp
  iretw

  ROUTINE real_interrupt
  stc
  sti
  int $0x90
1:
  pushfw
  popw %ax
  RESULT 0, %ax
  movw $(1b - real_blob), %ax
  RESULT 1, %ax
  int3
  cli
  lret

  ROUTINE real_arithmetic
  movw $0x1234, %ax
  movw %ax, %es:0x10
  movw $0, %bx
  movw %es:0x10, %bx
  RESULT 0, %bx
  movl $0x89ABCDEF, %eax
  roll $8, %eax
  RESULT 1, %ax
  shrl $16, %eax
  RESULT 2, %ax
  movw $0xFFFE, %si
  movb $0x77, %es:1(%si)
  movb %es:0xFFFF, %al
  xorb %ah, %ah
  RESULT 3, %ax
  /* FFFF:0010 is the first megabyte's end: with A20 on, 0x100000. */
  pushw $0xFFFF
  popw %fs
  movw %fs:0x10, %ax
  RESULT 4, %ax
  smsww %ax
  andw $1, %ax
  RESULT 5, %ax
  movw %sp, %bx
  pushw %sp
  popw %ax
  subw %bx, %ax
  RESULT 6, %ax
  movw $0x8000, %cx
  xorw %ax, %ax
2:incw %ax
  subw $0x1000, %cx
  jnz 2b
  RESULT 7, %ax
  pushl $0x11223344
  popw %ax
  popw %bx
  RESULT 8, %ax
  RESULT 9, %bx
  lret

  ROUTINE real_far
  movw %sp, %bp
  lcall $0x0FFF, $(3f - real_blob + 0x10)
  movw %sp, %ax
  subw %bp, %ax
  RESULT 0, %ax
  pushw $0x55
  pushw $0x66
  pushw %cs
  pushw $(4f - real_blob)
  lret $4
4:
  movw %sp, %ax
  subw %bp, %ax
  RESULT 1, %ax
  pushfw
  pushw %cs
  pushw $(5f - real_blob)
  iretw
  ud2
5:
  movw %sp, %ax
  subw %bp, %ax
  RESULT 2, %ax
  lret
3:
  movw %cs, %ax
  RESULT 3, %ax               /* through 0FFF: its cs-relative table is 10 bytes lower */
  movw %ax, %cs:kResults + 0x10 + 2 * 4
  lretw

  ROUTINE real_strings
  pushw %es
  pushw %cs
  popw %ds
  movw $(real_blob_text - real_blob), %si
  movw $0x100, %di
  movw $6, %cx
  cld
  rep movsb
  movw %es:0x104, %ax
  RESULT 0, %ax
  RESULT 1, %si
  RESULT 2, %di
  std
  movw $0x105, %di
  movw $0x10, %cx
  movb $'c', %al
  repne scasb
  cld
  RESULT 3, %cx
  RESULT 4, %di
  movw $0xFFFE, %di           /* di wraps inside the segment */
  movb $0x5A, %al
  movw $4, %cx
  rep stosb
  movb %es:0x0001, %al
  xorb %ah, %ah
  RESULT 5, %ax
  RESULT 6, %di
  popw %es
  lret
real_blob_text: .ascii "abcdef"

/* Faults: the handler of vectors 0, 5, 6, 12 and 13 resumes at the next label. */
  .macro RESUME_AT label
  movw $(\label - real_blob), %cs:kResults + 2 * 21
  .endm
  ROUTINE real_limit
  RESUME_AT 6f
  movw $0xFFFF, %si
7:movw (%si), %ax              /* a word at FFFF: beyond the limit */
6:movw $(7b - real_blob), %ax
  RESULT 0, %ax
  movw $0, %cs:kResults + 2 * 21
  lret
  ROUTINE real_limit_32
  RESUME_AT 6f
  movl $0x10000, %esi
7:movb (%esi), %al
6:movw $(7b - real_blob), %ax
  RESULT 0, %ax
  movw $0, %cs:kResults + 2 * 21
  lret
  ROUTINE real_stack_fault
  RESUME_AT 6f
  movw $0xFFFF, %bp
7:movw (%bp), %ax
6:movw $(7b - real_blob), %ax
  RESULT 0, %ax
  movw $0, %cs:kResults + 2 * 21
  lret
  ROUTINE real_divide
  RESUME_AT 6f
  xorw %cx, %cx
7:divw %cx
6:movw $(7b - real_blob), %ax
  RESULT 0, %ax
  movw $0, %cs:kResults + 2 * 21
  lret
  ROUTINE real_undefined
  RESUME_AT 6f
7:lldt %ax                     /* not recognized in real mode */
6:movw $(7b - real_blob), %ax
  RESULT 0, %ax
  movw $0, %cs:kResults + 2 * 21
  lret

/* Unreal mode: a 4 GiB limit loaded in protected mode stays after the return to real mode. */
  ROUTINE real_unreal
  lgdtl %cs:(gdt_pointer - real_blob)
  movl %cr0, %eax
  orl $1, %eax
  movl %eax, %cr0
  jmp 1f
1:movw $0x10, %bx
  movw %bx, %fs
  andl $0xFFFFFFFE, %eax
  movl %eax, %cr0
  jmp 1f
1:movl $0x100000, %esi
  movl %fs:(%esi), %eax
  RESULT 0, %ax
  shrl $16, %eax
  RESULT 1, %ax
  movw $0x2000, %ax            /* a load in real mode changes the base, not the limit */
  movw %ax, %fs
  movl $0xF0000, %esi
  movl %fs:-0x10000(%esi), %eax
  movl %fs:(%esi), %eax
  RESULT 2, %ax
  shrl $16, %eax
  RESULT 3, %ax
  lret
real_blob_end:
  .section .note.GNU-stack, "", @progbits
