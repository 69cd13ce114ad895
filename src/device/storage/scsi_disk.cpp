#include "device/storage/scsi_disk.h"

#include <utility>

#include "device/storage/scsi_operations.h"

namespace eidolon::device::storage::scsi {

namespace {

/// These are answered whatever has happened (SAM-5, 5.14).
bool passes_attention(uint8_t operation) {
  return operation == kInquiry || operation == kReportLuns || operation == kRequestSense;
}

}  // namespace

Disk::Disk(Medium& medium, std::string serial) : medium_(medium), serial_(std::move(serial)) {
  reset(kPowerOn);
}

void Disk::reset(const Sense& why) {
  write_cache_ = true;
  const std::lock_guard lock(mutex_);
  attention_ = why;
}

void Disk::save(StateWriter& to) const {
  const std::lock_guard lock(mutex_);
  to(write_cache_.load(), attention_.key, attention_.code, attention_.qualifier);
}

void Disk::load(StateReader& from) {
  bool cache = true;
  Sense attention;
  from(cache, attention.key, attention.code, attention.qualifier);
  if (attention.key > 15) from.fail();
  reset(from.failed() ? kPowerOn : attention);
  if (!from.failed()) write_cache_ = cache;
}

Sense Disk::take_attention() {
  const std::lock_guard lock(mutex_);
  return std::exchange(attention_, {});
}

bool Disk::has_attention() const {
  const std::lock_guard lock(mutex_);
  return attention_.key != 0;
}

Answer Disk::execute(const Request& request) {
  if (!passes_attention(request.cdb[0]))
    if (const Sense attention = take_attention(); attention.key != 0) return failed(attention);
  return dispatch(request);
}

Answer Disk::dispatch(const Request& request) {
  switch (request.cdb[0]) {
    case kTestUnitReady:
    case kPreventRemoval:
    case kStartStop:  // it always spins
      return {};
    case kRequestSense:
      return request_sense(request);
    case kInquiry:
      return inquiry(request);
    case kModeSense6:
    case kModeSense10:
      return mode_sense(request);
    case kModeSelect6:
    case kModeSelect10:
      return mode_select(request);
    case kReadCapacity:
      return read_capacity(request);
    case kServiceActionIn16:
      return (request.cdb[1] & 0x1f) == kReadCapacity16 ? read_capacity_16(request) : failed(kInvalidField);
    case kRead6:
    case kRead10:
    case kRead12:
    case kRead16:
      return read(request);
    case kWrite6:
    case kWrite10:
    case kWrite12:
    case kWrite16:
      return write(request);
    case kVerify10:
    case kVerify16:
      return verify(request);
    case kSynchronizeCache:
    case kSynchronizeCache16:
      return synchronize(request);
    case kUnmap:
      return unmap(request);
    case kWriteSame10:
    case kWriteSame16:
      return write_same(request);
    default:
      return failed(kUnknownOperation);
  }
}

}  // namespace eidolon::device::storage::scsi
