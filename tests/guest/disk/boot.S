/* The boot sector: loads the sectors behind itself and calls program(). A floppy is read sector by sector by cylinder,
 * head and sector (INT 13h AH=02h), a disk by block number (AH=42h). */
  .code16
  .section .boot, "ax"
  .globl _start
_start:
  ljmp $0, $1f                  /* some firmware starts at 07C0:0000 */
1:
  xorw %ax, %ax
  movw %ax, %ds
  movw %ax, %es
  movw %ax, %ss
  movl $0x7C00, %esp
  sti
  cld
  movb %dl, boot_drive
  testb %dl, %dl
  js disk

  movw $0x7E00, %bx             /* floppy: 18 sectors, 2 heads */
  movw $1, %si
next:
  movw %si, %ax
  movb $18, %cl
  divb %cl                      /* al: track, ah: sector */
  movb %ah, %cl
  incb %cl
  movb %al, %dh
  andb $1, %dh
  shrb $1, %al
  movb %al, %ch
  movb boot_drive, %dl
  movw $0x0201, %ax
  int $0x13
  jc failed
  addw $512, %bx
  incw %si
  cmpw $loaded_sectors, %si
  jbe next
  jmp loaded

disk:
  movb $0x42, %ah
  movw $packet, %si
  int $0x13
  jc failed

loaded:
  movw $bss_start, %di
  movw $bss_end, %cx
  subw %di, %cx
  xorw %ax, %ax
  rep stosb
  calll program
  calll finish

failed:
  movb $'E', %al
  movw $0x3F8, %dx
  outb %al, %dx
  movb $1, %al
  outb %al, $0xF4
  hlt

  .balign 4
packet:
  .byte 16, 0
  .word loaded_sectors, 0x7E00, 0
  .quad 1
  .globl boot_drive
boot_drive:
  .byte 0

  /* Not a partition table: some firmware looks at it. */
  .org 446
  .fill 64, 1, 0
  .word 0xAA55
