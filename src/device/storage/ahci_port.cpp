#include "device/storage/ahci_port.h"

namespace eidolon::device::storage::ahci {

namespace {
constexpr uint32_t kDetectionMask = 0xf, kDetectionReset = 1, kDetectionOff = 4;
constexpr uint64_t kListAlignment = 1024, kFisAlignment = 256;

void set_half(uint64_t& whole, bool upper, uint32_t value) {
  whole = upper ? uint64_t{value} << 32 | static_cast<uint32_t>(whole) : (whole >> 32 << 32) | value;
}
}  // namespace

void Port::attach(std::unique_ptr<ata::Drive> drive) {
  drive_ = std::move(drive);
  reset();
}

uint32_t Port::read(uint32_t offset) const {
  switch (offset) {
    case kClb:
      return static_cast<uint32_t>(clb_);
    case kClbu:
      return static_cast<uint32_t>(clb_ >> 32);
    case kFb:
      return static_cast<uint32_t>(fb_);
    case kFbu:
      return static_cast<uint32_t>(fb_ >> 32);
    case kPxIs:
      return is_ | ((serr_ & kSerrExchanged) != 0 ? kIntConnect : 0) |
             ((serr_ & kSerrPhyReady) != 0 ? kIntPhyReady : 0);
    case kPxIe:
      return ie_;
    case kCmd:
      return cmd_ | kSpinUp | kPowerOn | slot_ << 8 | ((cmd_ & kFisReceive) != 0 ? kFisRunning : 0) |
             ((cmd_ & kStart) != 0 ? kListRunning : 0);
    case kTfd:
      return tfd_;
    case kSig:
      return sig_;
    case kSsts:
      return ssts_;
    case kSctl:
      return sctl_;
    case kSerr:
      return serr_;
    case kSact:
      return sact_;
    case kCi:
      return ci_;
    default:
      return 0;
  }
}

bool Port::stops(uint32_t offset, uint32_t value) const {
  if (offset == kCmd) return (cmd_ & kStart) != 0 && (value & kStart) == 0;
  return offset == kSctl && (value & kDetectionMask) != (sctl_ & kDetectionMask);
}

void Port::write(uint32_t offset, uint32_t value) {
  switch (offset) {
    case kClb:
    case kClbu:
      set_half(clb_, offset == kClbu, value);
      clb_ &= ~(kListAlignment - 1);
      return;
    case kFb:
    case kFbu:
      set_half(fb_, offset == kFbu, value);
      fb_ &= ~(kFisAlignment - 1);
      return;
    case kPxIs:
      is_ &= ~value;
      return;
    case kPxIe:
      ie_ = value & kIntAll;
      return;
    case kCmd:
      return write_command(value);
    case kSctl:
      return write_control(value);
    case kSerr:
      serr_ &= ~value;
      return;
    case kSact:
      if ((cmd_ & kStart) != 0) sact_ |= value;
      return;
    case kCi:
      if ((cmd_ & kStart) != 0) ci_ |= value;
      return;
    default:
      return;
  }
}

void Port::write_command(uint32_t value) {
  if ((value & kOverride) != 0 && (cmd_ & kStart) == 0) tfd_ &= ~uint32_t{ata::kBusy | ata::kDataRequest};
  const bool stopping = (cmd_ & kStart) != 0 && (value & kStart) == 0;
  cmd_ = value & kCmdWritable;
  if (stopping) stop_list();
}

void Port::stop_list() {
  ci_ = 0;
  sact_ = 0;
  slot_ = 0;
  failed_ = false;
}

/// PxSCTL.DET: 1 holds the link in reset, 4 switches it off, and back at 0 the drive comes up anew.
void Port::write_control(uint32_t value) {
  const uint32_t before = sctl_ & kDetectionMask, now = value & kDetectionMask;
  sctl_ = value & 0xfff;
  if (before == now || drive_ == nullptr) return;
  if (now == kDetectionReset || now == kDetectionOff) {
    ssts_ = 0;
    tfd_ = kNoDeviceTfd;
  } else if (before == kDetectionReset || before == kDetectionOff) {
    link_up();
  }
}

void Port::link_up() {
  drive_->reset(true);
  resetting_ = false;
  ssts_ = kLinkUp;
  serr_ |= kSerrExchanged | kSerrPhyReady;
  send_signature();
}

void Port::reset() {
  stop_list();
  clb_ = fb_ = 0;
  is_ = ie_ = cmd_ = sctl_ = serr_ = ssts_ = 0;
  tfd_ = kNoDeviceTfd;
  sig_ = kNoSignature;
  resetting_ = busy_ = false;
  queued_ = 0;
  if (drive_ != nullptr) link_up();
}

void Port::save(StateWriter& to) const {
  fields(*this, to);
  if (drive_ != nullptr) drive_->save(to);
}

void Port::load(StateReader& from) {
  fields(*this, from);
  clb_ &= ~(kListAlignment - 1);
  fb_ &= ~(kFisAlignment - 1);
  cmd_ &= kCmdWritable;
  slot_ &= 31;
  busy_ = false;
  queued_ = 0;
  if (drive_ != nullptr) drive_->load(from);
}

}  // namespace eidolon::device::storage::ahci
