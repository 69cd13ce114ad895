// What an xHCI driver and a controller agree on: registers, transfer request blocks, contexts and completion
// codes (eXtensible Host Controller Interface 1.1, chapters 5 and 6). Facts only.
#pragma once

#include <cstdint>

namespace eidolon::device::usb::xhci {

inline constexpr unsigned kSlots = 32;
inline constexpr unsigned kInterrupters = 4;
inline constexpr unsigned kUsb2Ports = 4, kUsb3Ports = 4, kPorts = kUsb2Ports + kUsb3Ports;
inline constexpr unsigned kEndpoints = 32;  ///< of a device, by context index; 0 is the slot's

// Where the registers are in BAR 0.
inline constexpr uint64_t kOperational = 0x40, kPortRegisters = 0x440, kExtended = 0x800, kRuntime = 0x1000,
                          kDoorbells = 0x2000, kBarBytes = 0x4000;
inline constexpr uint64_t kPortBytes = 0x10, kInterrupterBytes = 0x20;

// Operational registers (5.4), from kOperational on.
inline constexpr uint64_t kCommand = 0x00, kStatus = 0x04, kPageSize = 0x08, kNotifications = 0x14,
                          kCommandRing = 0x18, kContexts = 0x30, kConfigure = 0x38;

// kCommand: USBCMD
inline constexpr uint32_t kRun = 1u << 0, kHostReset = 1u << 1, kInterruptEnable = 1u << 2,
                          kSaveState = 1u << 8, kRestoreState = 1u << 9;
inline constexpr uint32_t kCommandBits = kRun | kInterruptEnable | 1u << 3 | 1u << 10;

// kStatus: USBSTS
inline constexpr uint32_t kHostHalted = 1u << 0, kHostSystemError = 1u << 2, kEventInterrupt = 1u << 3,
                          kPortChange = 1u << 4, kRestoreError = 1u << 10, kHostControllerError = 1u << 12;
inline constexpr uint32_t kStatusClearable = kHostSystemError | kEventInterrupt | kPortChange | kRestoreError;

// kCommandRing: CRCR
inline constexpr uint64_t kRingCycle = 1, kRingStop = 2, kRingAbort = 4, kRingRunning = 8;
inline constexpr uint64_t kRingPointer = ~uint64_t{0x3f};

// Registers of an interrupter (5.5.2)
inline constexpr uint64_t kManagement = 0x00, kModeration = 0x04, kSegmentCount = 0x08, kSegmentTable = 0x10,
                          kDequeue = 0x18;

/// A transfer request block (6.4).
struct Trb {
  uint64_t parameter = 0;
  uint32_t status = 0;
  uint32_t control = 0;

  [[nodiscard]] unsigned type() const { return control >> 10 & 0x3f; }
  [[nodiscard]] unsigned slot() const { return control >> 24; }
  [[nodiscard]] unsigned endpoint() const { return control >> 16 & 0x1f; }
  [[nodiscard]] uint32_t length() const { return status & 0x1ffff; }
  [[nodiscard]] unsigned interrupter() const { return status >> 22; }
};
static_assert(sizeof(Trb) == 16);

// Trb::control
inline constexpr uint32_t kCycle = 1u << 0, kToggleCycle = 1u << 1, kShortInterrupt = 1u << 2,
                          kEventData = 1u << 2, kChain = 1u << 4, kInterruptOnCompletion = 1u << 5,
                          kImmediateData = 1u << 6, kBlockSetAddress = 1u << 9, kDeconfigure = 1u << 9,
                          kBlockEventInterrupt = 1u << 9, kDirectionIn = 1u << 16;

enum TrbType : uint8_t {
  kNormal = 1,
  kSetupStage = 2,
  kDataStage = 3,
  kStatusStage = 4,
  kIsoch = 5,
  kLink = 6,
  kEventDataTrb = 7,
  kNoOp = 8,
  kEnableSlot = 9,
  kDisableSlot = 10,
  kAddressDevice = 11,
  kConfigureEndpoint = 12,
  kEvaluateContext = 13,
  kResetEndpoint = 14,
  kStopEndpoint = 15,
  kSetDequeue = 16,
  kResetDevice = 17,
  kNoOpCommand = 23,
  kTransferEvent = 32,
  kCommandCompletion = 33,
  kPortStatusChange = 34,
};

[[nodiscard]] constexpr uint32_t trb_type(TrbType type) { return uint32_t{type} << 10; }

/// 6.4.5
enum class Code : uint8_t {
  kInvalid = 0,
  kSuccess = 1,
  kDataBufferError = 2,
  kTransactionError = 4,
  kTrbError = 5,
  kStall = 6,
  kNoSlots = 9,
  kSlotNotEnabled = 11,
  kEndpointNotEnabled = 12,
  kShortPacket = 13,
  kParameterError = 17,
  kContextStateError = 19,
  kRingStopped = 24,
  kStopped = 26,
};

enum class SlotState : uint8_t { kDisabled = 0, kDefault = 1, kAddressed = 2, kConfigured = 3 };
enum class EndpointState : uint8_t { kDisabled = 0, kRunning = 1, kHalted = 2, kStopped = 3, kError = 4 };
enum class EndpointType : uint8_t {
  kNone = 0,
  kIsochOut = 1,
  kBulkOut = 2,
  kInterruptOut = 3,
  kControl = 4,
  kIsochIn = 5,
  kBulkIn = 6,
  kInterruptIn = 7,
};

}  // namespace eidolon::device::usb::xhci
