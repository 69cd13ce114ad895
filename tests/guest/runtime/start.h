/* The Multiboot 1 header, shared by the 32- and 64-bit start code (Multiboot Specification 0.6.96, 3.1). */
.macro MULTIBOOT_HEADER
  .section .multiboot, "a"
  .balign 4
  .long 0x1BADB002           /* magic */
  .long 0x00000003           /* modules on page boundaries, memory information wanted */
  .long -(0x1BADB002 + 0x00000003)
.endm
