// The way into a stub and out of it. See stub.h for the frame and the contract.
//
//   uint32_t eidolon_step_enter    (State* state, void* memory, const void* stub, StubFrame* frame)
//   uint32_t eidolon_step_enter_fpu(the same)
//
// Return 0 if the stub ran to its end, 1 if a host fault took it to eidolon_step_fault(_fpu) instead. All
// registers are free inside a stub but RSP, which it restores.
        .intel_syntax noprefix
        .text

        .macro SAVE
        push rbp
        push rbx
        push r12
        push r13
        push r14
        push r15
        push rcx                        // the frame, for the way out
        mov [rcx], rsp
        .endm

        .macro RESTORE
        add rsp, 8
        pop r15
        pop r14
        pop r13
        pop r12
        pop rbx
        pop rbp
        ret
        .endm

        .globl eidolon_step_enter
        .type eidolon_step_enter, @function
eidolon_step_enter:
        SAVE
        call rdx
        xor eax, eax
        RESTORE
        .size eidolon_step_enter, . - eidolon_step_enter

        .globl eidolon_step_fault
        .type eidolon_step_fault, @function
eidolon_step_fault:                     // RSP was put back by the signal handler
        mov eax, 1
        RESTORE
        .size eidolon_step_fault, . - eidolon_step_fault

        .globl eidolon_step_enter_fpu
        .type eidolon_step_enter_fpu, @function
eidolon_step_enter_fpu:
        SAVE
        mov r8, rdx
        mov r9, [rcx + 16]              // StubFrame::image
        mov eax, [rcx + 8]              // StubFrame::mask
        mov edx, [rcx + 12]
        xrstor64 [r9]
        call r8
        xor r12d, r12d
.Lleave_fpu:
        mov rcx, [rsp]
        mov r9, [rcx + 16]
        mov eax, [rcx + 8]
        mov edx, [rcx + 12]
        xsave64 [r9]
        mov r9, [rcx + 24]              // StubFrame::clean
        xrstor64 [r9]
        mov eax, r12d
        RESTORE
        .size eidolon_step_enter_fpu, . - eidolon_step_enter_fpu

        .globl eidolon_step_fault_fpu
        .type eidolon_step_fault_fpu, @function
eidolon_step_fault_fpu:
        mov r12d, 1
        jmp .Lleave_fpu
        .size eidolon_step_fault_fpu, . - eidolon_step_fault_fpu

        .globl eidolon_step_enter_end
eidolon_step_enter_end:
        .section .note.GNU-stack, "", @progbits
