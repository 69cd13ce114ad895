#include "engine/kvm/kernel_doorbells.h"

#include <sys/ioctl.h>

namespace eidolon::engine::kvm {

std::unique_ptr<KernelDoorbells> KernelDoorbells::create(const System& system, int vm) {
  if (system.extension(KVM_CAP_IOEVENTFD) <= 0) return nullptr;
  // Without a length KVM need not decode the instruction. A KVM that wants one gets that of a queue's number
  // (virtio 1.2, 4.1.5.2); other writes come to the monitor there.
  const bool any = system.extension(KVM_CAP_IOEVENTFD_ANY_LENGTH) > 0;
  return std::unique_ptr<KernelDoorbells>(new KernelDoorbells(vm, any ? 0 : sizeof(uint16_t)));
}

bool KernelDoorbells::tell(const memory::Doorbell& doorbell, uint32_t flags) const {
  kvm_ioeventfd told{};
  told.addr = doorbell.address;
  told.len = doorbell.value ? sizeof *doorbell.value : bytes_;
  told.fd = doorbell.event;
  told.flags = flags | (doorbell.value ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0u);
  told.datamatch = doorbell.value.value_or(0);
  return ioctl(vm_, KVM_IOEVENTFD, &told) == 0;
}

bool KernelDoorbells::connect(const memory::Doorbell& doorbell) { return tell(doorbell, 0); }

void KernelDoorbells::disconnect(const memory::Doorbell& doorbell) {
  (void)tell(doorbell, KVM_IOEVENTFD_FLAG_DEASSIGN);
}

}  // namespace eidolon::engine::kvm
