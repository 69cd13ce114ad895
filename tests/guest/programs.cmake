# The guest programs, one per subject: programs/<name>.c, and programs/<name>_code.S where assembler is needed.
# In the list that the tests read (guest_programs.txt) a program that ends by a triple fault has the exit
# status "reset" instead of a number.
set(GUEST_PROGRAMS_64 hello exceptions paging64 syscall smc strings flags64 paging64_cross
    paging64_pcid triple debug idt64 fpu msr cpuid interrupts virtio_disk smp litmus)
set(GUEST_PROGRAMS_32 paging32 paging_pae insn32 seg32 task32 real v86 pm16)
set(GUEST_PROGRAMS_RESET triple)
# Of the 64-bit ones, those that use several processors (runtime/smp.h).
set(GUEST_PROGRAMS_SMP smp litmus)
