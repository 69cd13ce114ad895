// `eidolon check`: what this host offers, and which engine would be chosen and why.
#pragma once

#include <string>

#include "machine/host_facts.h"

namespace eidolon::control {

/// What opening /dev/kvm said. Only `check` opens it, and only to tell whether it could be used.
enum class KvmAccess : uint8_t { kAbsent, kDenied, kUsable, kStrange };
[[nodiscard]] KvmAccess probe_kvm(const machine::HostFacts& facts);

[[nodiscard]] std::string describe_host(const machine::HostFacts& facts, KvmAccess kvm);
[[nodiscard]] std::string describe_host_json(const machine::HostFacts& facts, KvmAccess kvm);

/// Prints; returns the exit status.
int check_command(bool json);

}  // namespace eidolon::control
