// A cable to a switch, or to whoever speaks as one (passt), on a stream socket.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "backend/cable.h"
#include "backend/frame_stream.h"
#include "base/result.h"

namespace eidolon::backend {

class SwitchLink final : public Cable {
 public:
  /// What the other end can do with frames that are not finished.
  enum class Peer : uint8_t {
    kSwitch,  ///< it is asked
    kStack,   ///< TCP/IP without a wire: packets may be long, but have their checksums
  };
  class Opener {
   public:
    virtual ~Opener() = default;
    /// A socket that leads there; not valid: nobody is there.
    [[nodiscard]] virtual FileDescriptor open() = 0;
    /// The socket is closed.
    virtual void closed() {}
  };

  /// Nobody needs to listen at `path` yet.
  static Result<std::unique_ptr<SwitchLink>> create(const std::string& path, Peer peer = Peer::kSwitch);
  static Result<std::unique_ptr<SwitchLink>> create(std::unique_ptr<Opener> opener, Peer peer);
  ~SwitchLink() override { stop(); }

 private:
  SwitchLink(Wakeup wakeup, std::unique_ptr<Opener> opener, Peer peer)
      : Cable(std::move(wakeup)), opener_(std::move(opener)), peer_(peer) {}

  // Cable
  [[nodiscard]] bool open() override;
  void close() override {
    stream_.reset();
    opener_->closed();
  }
  [[nodiscard]] int fd() const override { return stream_->fd(); }
  [[nodiscard]] bool has_queued() const override { return stream_->has_queued(); }
  [[nodiscard]] bool exchange(bool readable) override;

  void send_frames();
  void deliver_frames();

  const std::unique_ptr<Opener> opener_;
  const Peer peer_;
  std::optional<FrameStream> stream_;
  std::vector<uint8_t> frame_;
  bool large_ = false;  ///< the other end takes frames that are not finished
};

}  // namespace eidolon::backend
