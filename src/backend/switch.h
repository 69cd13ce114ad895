// An Ethernet switch between the machines that connect to a Unix socket: a frame goes where its receiver was
// last heard, or to everybody. Tags are data to it.
//
// Each port has a bounded queue of what its machine has not taken yet; a frame for a full one is lost, as in
// any switch. A connection that ends, or sends what is no frame, is forgotten with all that was learned
// behind it.
//
// Frames that are not finished pass as they are between machines that take such ones, and are cut for others.
#pragma once

#include <list>
#include <span>
#include <string>

#include "backend/frame_stream.h"
#include "backend/mac_table.h"
#include "backend/socket_place.h"
#include "base/result.h"
#include "device/net/segments.h"

namespace eidolon::backend {

class Switch {
 public:
  static constexpr size_t kMostPorts = 256;

  static Result<Switch> create(const std::string& path);

  /// Until `stop` can be read.
  void run(int stop);

 private:
  struct Port {
    MacTable::Port number;
    FrameStream stream;
    bool large = false;  ///< its machine takes frames that are not finished
    bool over = false;
  };
  explicit Switch(SocketPlace place) : place_(std::move(place)) {}
  void add_ports();
  void serve(Port& port, short ready);
  void forward(const Port& from, std::span<const uint8_t> frame, const device::net::Offload& offload,
               MacTable::Time now);
  void send(Port& port, std::span<const uint8_t> frame, const device::net::Offload& offload);
  void remove_ended();

  SocketPlace place_;
  std::list<Port> ports_;
  MacTable table_;
  MacTable::Port next_number_ = 0;
  device::net::Segments segments_;
  std::vector<uint8_t> segment_;
};

}  // namespace eidolon::backend
