/* Virtual-8086 code at 1000:0000, and the way in. */
  .text
/* void enter_v86(u32 ip, u32 flags) */
  .globl enter_v86
enter_v86:
  movl 4(%esp), %eax
  movl 8(%esp), %ecx
  pushl $0x4444              /* gs fs ds es ss esp flags cs ip */
  pushl $0x3333
  pushl $0x1000
  pushl $0x2000
  pushl $0x1000
  pushl $0xE000
  orl $0x20002, %ecx
  pushl %ecx
  pushl $0x1000
  pushl %eax
  movl $0x11, %ebx
  iretl

  .section .rodata
  .code16
  .globl v86_blob, v86_blob_end
v86_blob:
  .macro ROUTINE name
  .globl \name
  \name = . - v86_blob
  .endm
  ROUTINE v86_plain
  movw $0x1234, %ax
  movw %ax, %es:0x20
  movw %gs, %cx
  movw %cs, %dx
  hlt
  ROUTINE v86_cli
  cli
  hlt
  ROUTINE v86_sti
  sti
  hlt
  ROUTINE v86_pushf
  pushfw
  popw %ax
  hlt
  ROUTINE v86_popf
  pushw $0x0003
  popfw
  hlt
  ROUTINE v86_iret
  iretw
  ROUTINE v86_int
  int $0x80
  hlt
  ROUTINE v86_int_dpl0
  int $0x91
  hlt
  ROUTINE v86_int3
  int3
  hlt
  ROUTINE v86_in
  movw $0x3fd, %dx
  inb %dx, %al
  hlt
  ROUTINE v86_mov_cr
  movl %cr0, %eax
  ROUTINE v86_lgdt
  lgdtw 0
  ROUTINE v86_lldt
  lldt %ax
  ROUTINE v86_str
  str %ax
  ROUTINE v86_limit
  movw $0xFFFF, %si
  lodsw
  hlt
  ROUTINE v86_iret_good
  pushw $0x0001
  pushw %cs
  pushw $(1f - v86_blob)
  iretw
1:
  jnc 2f
  movw $0x77, %ax
2:hlt
  ROUTINE v86_vme
  int $0x21
  movw %ax, %cx
  pushfw
  popw %ax
  hlt
  ROUTINE v86_vme_handler
  movw $0xBEEF, %ax
  iretw
  ROUTINE v86_vme_flags
  sti
  pushfw
  popw %cx
  cli
  pushfw
  popw %ax
  hlt
v86_blob_end:
  .section .note.GNU-stack, "", @progbits
