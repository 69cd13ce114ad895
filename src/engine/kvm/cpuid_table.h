// A processor's CPUID as KVM takes it.
#pragma once

#include "base/result.h"
#include "cpu/cpu.h"
#include "engine/kvm/vcpu.h"

namespace eidolon::engine::kvm {

/// Has KVM answer the guest's CPUID as `cpu.model` does.
Result<> put_cpuid(Vcpu& vcpu, const cpu::Cpu& cpu);

}  // namespace eidolon::engine::kvm
