// Code as compilers write it, for the benchmarks that need some.
#pragma once

#include <cstdint>
#include <vector>

namespace eidolon::micro {

/// FNV-1a over [rdi, rdi + rsi) with a frame, up to its return: 16 instructions of 64-bit code.
inline const std::vector<uint8_t> kFunction = {
    0x55,                                                        // push rbp
    0x48, 0x89, 0xe5,                                            // mov rbp, rsp
    0x48, 0xb8, 0x25, 0x23, 0x22, 0x84, 0xe4, 0x9c, 0xf2, 0xcb,  // mov rax, 0xcbf29ce484222325
    0x48, 0xb9, 0xb3, 0x01, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00,  // mov rcx, 0x100000001b3
    0x48, 0x01, 0xfe,                                            // add rsi, rdi
    0x48, 0x39, 0xf7,                                            // cmp rdi, rsi
    0x74, 0x13,                                                  // je done
    0x0f, 0xb6, 0x17,                                            // loop: movzx edx, byte [rdi]
    0x48, 0x83, 0xc7, 0x01,                                      // add rdi, 1
    0x48, 0x31, 0xd0,                                            // xor rax, rdx
    0x48, 0x0f, 0xaf, 0xc1,                                      // imul rax, rcx
    0x48, 0x39, 0xf7,                                            // cmp rdi, rsi
    0x75, 0xed,                                                  // jne loop
    0x48, 0x89, 0x45, 0xf8,                                      // done: mov [rbp - 8], rax
    0x48, 0x8b, 0x45, 0xf8,                                      // mov rax, [rbp - 8]
    0x5d,                                                        // pop rbp
};

}  // namespace eidolon::micro
