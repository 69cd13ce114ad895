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

bool KernelDoorbells::tell(uint64_t address, int event, uint32_t flags) const {
  kvm_ioeventfd doorbell{};
  doorbell.addr = address;
  doorbell.len = bytes_;
  doorbell.fd = event;
  doorbell.flags = flags;
  return ioctl(vm_, KVM_IOEVENTFD, &doorbell) == 0;
}

bool KernelDoorbells::connect(uint64_t address, int event) { return tell(address, event, 0); }

void KernelDoorbells::disconnect(uint64_t address, int event) {
  (void)tell(address, event, KVM_IOEVENTFD_FLAG_DEASSIGN);
}

}  // namespace eidolon::engine::kvm
