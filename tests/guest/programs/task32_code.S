/* What the other tasks run: note what the switch loaded, then go back by IRET or by a jump. Entered again, a task goes on
 * after the instruction that it left by, so each way out is followed by a jump to the start. */
  .text
  .globl task_entry, task_entry_error, task_entry_16
task_entry_error:
  popl task_seen + 28
task_entry:
  movl %eax, task_seen
  strl %eax
  movl %eax, task_seen + 4
  pushfl
  popl task_seen + 8
  movl %cr0, %eax
  movl %eax, task_seen + 12
  movl %esp, task_seen + 16
  movl %cr3, %eax
  movl %eax, task_seen + 24
  clts
  /* A stack selector of the first task to put right before it goes on. */
  movl task_fix, %eax
  testl %eax, %eax
  jz 1f
  movl $0x10, (%eax)
1:
  cmpl $0, task_repair
  je 2f
  /* The first task's saved image: its eip, esp and ss (offsets 32, 56 and 80). */
  movl tss + 80, %eax
  movl %eax, task_seen + 20
  movl $0x10, tss + 80
  movl task_resume, %eax
  movl %eax, tss + 32
  movl task_resume + 4, %eax
  movl %eax, tss + 56
  /* The jump below needs the first task to be free. */
  andb $0xFD, gdt + 0x40 + 5
2:
  cmpl $0, task_return
  jne 3f
  iretl
  jmp task_entry
3:
  pushfl
  andl $~0x4000, (%esp)
  popfl
  andb $0xFD, gdt + 0x40 + 5
  ljmp $0x40, $0
  jmp task_entry

task_entry_16:
  movl %eax, %ss:task_seen
  strl %eax
  movl %eax, %ss:task_seen + 4
  movl %esp, %ss:task_seen + 16
  iretl

  .bss
  .balign 4
  .globl task_seen, task_return, task_fix, task_repair, task_resume
task_seen:   .skip 32
task_return: .skip 4
task_fix:    .skip 4
task_repair: .skip 4
task_resume: .skip 8
  .section .note.GNU-stack, "", @progbits
