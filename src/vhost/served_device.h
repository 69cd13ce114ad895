// A virtio device of the machine whose requests another process carries out: a vhost-user back end.
//
//   guest's ring --descriptors--> SharedRing --> back end --> SharedRing --used--> guest's ring
//                                        (data: straight from and to guest memory)
//
// The back end never sees the guest's rings. The monitor takes a buffer as for any other device, checks where
// it is, and puts its descriptors into a ring of its own; what comes back is checked, told to the processors
// (translations of written code), and given back to the driver. So every form of ring, hostile drivers and
// resets are what they are elsewhere, and a back end needs to know none of it. Data are not copied.
//
// A thread speaks with the back end and takes what comes back; the driver's notifications add buffers where
// they are made. A back end that has gone is looked for until there is one again, and gets what was not
// answered anew, in the order in which it was asked.
#pragma once

#include <condition_variable>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "backend/wakeup.h"
#include "device/virtio/device.h"
#include "vhost/back_end.h"
#include "vhost/shared_memory.h"
#include "vhost/shared_ring.h"

namespace eidolon::vhost {

/// Why a machine that has one makes no snapshots and does not move.
inline constexpr std::string_view kCannotMove =
    "another process serves a disk, network card or folder of the machine (vhost-user), and a snapshot or a "
    "move would have nothing of its state; start the machine with devices of the monitor's own to take one";

class ServedDevice final : public device::virtio::Device {
 public:
  /// Where the back end is, and what it is to the driver.
  struct Source {
    std::string socket;
    std::string what;             ///< such as "disk", for sentences
    std::vector<uint8_t> config;  ///< as the driver reads it
    uint32_t config_asked = 0;    ///< so many bytes of it are the back end's
    uint64_t own_features = 0;    ///< of the shape's, those that the back end does not know of
    uint64_t least_queues = 0;    ///< that it must have, if it says how many it has
    /// It answers everything by itself. Otherwise (a card waits for frames) what is under way comes back only
    /// when the driver resets the device.
    bool answers_all = true;
    /// The byte of `config` whose lowest bit says that there is a back end.
    std::optional<size_t> link_at = std::nullopt;
    /// Answers a buffer that a back end has taken along, and returns how much it wrote; null: it is given to
    /// the next one.
    uint32_t (*refuse)(device::Dma& dma, const device::virtio::Chain& chain) = nullptr;
  };
  /// `memory` is shared and outlives it. `back_end`: where `source` is, and what `shape` follows from.
  static Result<std::unique_ptr<ServedDevice>> create(Shape shape, Source source, BackEnd back_end,
                                                      memory::GuestMemory& memory);
  ~ServedDevice() override;

  [[nodiscard]] std::string_view obstacle() const override { return kCannotMove; }
  [[nodiscard]] int doorbell(unsigned queue) const override { return served_[queue]->bell.watched().fd; }

 protected:
  void queue_notified(unsigned queue) override;
  void driver_ready() override;
  void reset_device() override;
  void quiesce() override;
  void resume() override;
  [[nodiscard]] std::vector<uint8_t> config() override;

 private:
  using Clock = std::chrono::steady_clock;
  using Chain = device::virtio::Chain;
  struct Queue {
    Queue(backend::Wakeup new_bell, backend::Wakeup new_kick, backend::Wakeup new_call)
        : bell(std::move(new_bell)),
          kick(std::move(new_kick)),
          call(std::move(new_call)),
          numbers(SharedRing::kSize) {}
    backend::Wakeup bell;  ///< by the driver, where the engine takes its notifications
    backend::Wakeup kick, call;
    std::optional<SharedRing> ring;   ///< while somebody serves it
    std::map<uint64_t, Chain> asked;  ///< in that order, and not answered
    std::vector<uint64_t> numbers;    ///< in `asked`, by heads in the ring
    std::optional<Chain> waiting;     ///< for room in the ring
  };

  ServedDevice(Shape shape, Source source, BackEnd back_end, memory::GuestMemory& memory,
               backend::Wakeup wakeup)
      : Device(std::move(shape)),
        source_(std::move(source)),
        memory_(memory),
        wakeup_(std::move(wakeup)),
        back_end_(std::move(back_end)) {}

  // Lock held, but where it is let go for a message.
  void thread_main();
  /// Whether anything was done towards what is wanted.
  [[nodiscard]] bool adjust(Lock& held);
  [[nodiscard]] bool wanted() const { return running() && halts_ == 0; }
  void reach(Lock& held);
  void start(Lock& held);
  Result<> tell_start(uint64_t features);
  void ask_again();
  void refuse_all();
  void show_link();
  [[nodiscard]] bool drained();
  void stop(Lock& held);
  void lose(std::string_view why);
  /// Until something has happened; false: the connection has ended.
  [[nodiscard]] bool wait(Lock& held);
  [[nodiscard]] int patience() const;
  void fetch(unsigned number);
  [[nodiscard]] bool add(Queue& queue, uint64_t number, const Chain& chain);
  [[nodiscard]] std::optional<std::vector<SharedRing::Piece>> pieces_of(const Chain& chain);
  /// False: the back end says what cannot be.
  [[nodiscard]] bool collect(unsigned number);
  [[nodiscard]] bool fits(const BackEnd& other) const;

  const Source source_;
  memory::GuestMemory& memory_;
  const backend::Wakeup wakeup_;
  std::vector<std::unique_ptr<Queue>> served_;  ///< the queues
  // The thread's, once there is one.
  std::optional<BackEnd> back_end_;
  std::optional<SharedMemory> rings_;  ///< of this start: what a back end before it writes is seen by nobody

  // Guarded by the device's lock.
  std::condition_variable changed_;
  bool started_ = false;   ///< the thread
  bool stopping_ = false;  ///< the thread
  bool starting_ = false;  ///< the back end is being told where all is
  bool serving_ = false;   ///< it has been, and may use guest memory
  unsigned halts_ = 0;     ///< those who wait in quiesce(), or have been there
  uint64_t next_number_ = 0;
  std::optional<Clock::time_point> give_up_at_;  ///< of a stop that waits for answers
  Clock::time_point look_again_at_;              ///< when there is no back end
  std::chrono::milliseconds pause_{0};
  bool missed_ = false;  ///< the user was told that it has gone,
  bool other_ = false;   ///< and that what is there now is something else
  std::thread thread_;
};

}  // namespace eidolon::vhost
