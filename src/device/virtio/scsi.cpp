#include "device/virtio/scsi.h"

#include <algorithm>

#include "device/storage/scsi_disk.h"
#include "device/storage/scsi_operations.h"

namespace eidolon::device::virtio {

using namespace storage::scsi;

namespace {

constexpr uint16_t kType = 8, kControlQueueSize = 64, kEventQueueSize = 64, kQueueSize = 256;
constexpr uint32_t kCommandsPerUnit = 128;
constexpr uint8_t kCheckCondition = 2;

Device::Shape shape_of(std::string name, unsigned request_queues) {
  std::vector<uint16_t> sizes = {kControlQueueSize, kEventQueueSize};
  sizes.insert(sizes.end(), request_queues, kQueueSize);
  return {.name = std::move(name), .type = kType, .queue_sizes = sizes, .class_code = 0x010000};
}

}  // namespace

Scsi::Scsi(std::string name, unsigned request_queues)
    : RequestDevice(shape_of(std::move(name), request_queues), kFirstRequest + request_queues, kThreads),
      request_queues_(request_queues),
      kept_(request_queues) {}

unsigned Scsi::attach(std::unique_ptr<Unit> unit) {
  units_.push_back(std::move(unit));
  return static_cast<unsigned>(units_.size() - 1);
}

std::vector<uint8_t> Scsi::config() {
  const ScsiConfig config = {.request_queues = request_queues_,
                             .most_segments = kQueueSize - 2,
                             .most_sectors = Disk::kMostTransfer,
                             .commands_per_unit = kCommandsPerUnit,
                             .sense_bytes = sense_bytes_,
                             .command_bytes = command_bytes_,
                             .last_unit = kMostUnits - 1};
  std::vector<uint8_t> bytes(sizeof config);
  std::memcpy(bytes.data(), &config, sizeof config);
  return bytes;
}

/// Any size is believed: a command whose buffer is not as large is no command.
void Scsi::config_byte_written(uint64_t offset, uint8_t value) {
  for (const auto& [at, field] : {std::pair{ScsiConfig::kSenseBytesAt, &sense_bytes_},
                                  std::pair{ScsiConfig::kCommandBytesAt, &command_bytes_}}) {
    if (offset < at || offset >= at + sizeof *field) continue;
    const uint64_t shift = 8 * (offset - at);
    *field = (*field & ~(0xffu << shift)) | uint32_t{value} << shift;
  }
}

void Scsi::reset_device() {
  sense_bytes_ = kUsualSenseBytes;
  command_bytes_ = kUsualCommandBytes;
  for (auto& kept : kept_) kept.clear();
  for (const auto& unit : units_) unit->reset(kPowerOn);
}

void Scsi::save_device(StateWriter& to) const {
  to(sense_bytes_, command_bytes_);
  for (const auto& kept : kept_) {
    to(static_cast<uint32_t>(kept.size()));
    for (const Chain& chain : kept) chain.save(to);
  }
  for (const auto& unit : units_) unit->save(to);
}

void Scsi::load_device(StateReader& from) {
  from(sense_bytes_, command_bytes_);
  for (auto& kept : kept_) {
    uint32_t count = 0;
    from(count);
    if (count > kQueueSize) from.fail();
    for (uint32_t i = 0; i < count && !from.failed(); ++i) kept.emplace_back().load(from);
  }
  for (const auto& unit : units_) unit->load(from);
}

// The account of commands.

void Scsi::queue_notified(unsigned queue) {
  if (!has_requests(queue) || (queue >= kFirstRequest && finish_at_once(queue))) return;
  RequestDevice::queue_notified(queue);
}

bool Scsi::take_request(unsigned queue, Chain& chain) {
  if (queue >= kFirstRequest) {
    std::deque<Chain>& kept = kept_[queue - kFirstRequest];
    if (!kept.empty() && running()) {
      chain = std::move(kept.front());
      kept.pop_front();
      return true;
    }
  }
  return take(queue, chain);
}

bool Scsi::has_more(unsigned queue) {
  return (queue >= kFirstRequest && !kept_[queue - kFirstRequest].empty() && running()) || rearm(queue);
}

Scsi::Task Scsi::read_task(const Chain& chain) {
  Task task;
  task.chain = &chain;
  task.sent_at = sizeof task.header + uint64_t{command_bytes_};
  task.sense_bytes = sense_bytes_;
  task.possible = chain.readable_bytes() >= task.sent_at &&
                  chain.writable_bytes() >= sizeof(ScsiCommandStatus) + task.sense_bytes &&
                  chain.read(dma(), 0, &task.header, sizeof task.header) &&
                  chain.read(dma(), sizeof task.header, task.cdb.data(),
                             std::min<uint64_t>(task.cdb.size(), command_bytes_));
  return task;
}

void Scsi::request_taken(unsigned queue, const Chain& chain) {
  if (queue < kFirstRequest) return;
  Task& task = tasks_.emplace_back(read_task(chain));
  task.number = ++last_task_;
}

void Scsi::request_returned(const Chain& chain) {
  if (tasks_.remove_if([&chain](const Task& task) { return task.chain == &chain; }) != 0)
    task_ended_.notify_all();
}

uint32_t Scsi::execute(unsigned queue, const Chain& chain) {
  if (queue == kControl) return control(chain);
  Task task;
  {
    const Lock held = lock();
    const auto found = std::ranges::find(tasks_, &chain, &Task::chain);
    if (found == tasks_.end() || !found->possible) {
      need_reset();  // there is nowhere to say what was wrong
      return 0;
    }
    task = *found;
  }
  return command(task);
}

// Commands.

/// The numbers of SAM-5, 4.7: peripheral device addressing without a bus, and flat space addressing.
std::optional<unsigned> Scsi::unit_of(const ScsiAddress& address) const {
  constexpr uint8_t kForm = 0xc0, kFlat = 0x40;
  const uint8_t form = address[2] & kForm;
  const auto number = static_cast<unsigned>((address[2] & ~kForm) << 8 | address[3]);
  const bool deeper = std::any_of(address.begin() + 4, address.end(), [](uint8_t byte) { return byte != 0; });
  if (!on_target(address) || (form != 0 && form != kFlat) || deeper || number >= units_.size())
    return std::nullopt;
  return number;
}

Scsi::Data Scsi::find_data(const Task& task) {
  const Chain& chain = *task.chain;
  Data data{.sent = {dma(), false}, .room = {dma(), true}, .possible = true};
  for (const Segment& part : slice(chain.readable(), task.sent_at, chain.readable_bytes()))
    data.possible = data.possible && data.sent.add(part.address, part.length);
  const uint64_t room_at = sizeof(ScsiCommandStatus) + task.sense_bytes;
  for (const Segment& part : slice(chain.writable(), room_at, chain.writable_bytes()))
    data.possible = data.possible && data.room.add(part.address, part.length);
  // Data both ways was not offered.
  data.possible = data.possible && (data.sent.total() == 0 || data.room.total() == 0);
  return data;
}

uint32_t Scsi::command(const Task& task) {
  Data data = find_data(task);
  if (!data.possible) return respond(task, ScsiResponse::kFailure, {}, data.expected());
  if (!on_target(task.header.address)) return respond(task, ScsiResponse::kBadTarget, {}, data.expected());
  const Answer answer = carry_out(task, data.request(task));
  data.room.written();
  return respond(task, answer.overrun ? ScsiResponse::kOverrun : ScsiResponse::kOk, answer, data.expected());
}

/// It is in no account: whoever asks for one waits for the lock meanwhile.
std::optional<uint32_t> Scsi::execute_at_once(const Chain& chain) {
  const Task task = read_task(chain);
  const std::optional<unsigned> unit = task.possible ? unit_of(task.header.address) : std::nullopt;
  if (!unit) return std::nullopt;
  Data data = find_data(task);
  if (!data.possible) return std::nullopt;
  const std::optional<Answer> answer = units_[*unit]->execute_at_once(data.request(task));
  data.room.written();
  if (!answer) return std::nullopt;
  return respond(task, ScsiResponse::kOk, *answer, data.expected());
}

Answer Scsi::carry_out(const Task& task, const Request& request) {
  if (request.cdb[0] == kReportLuns) return report_units(request);
  const std::optional<unsigned> unit = unit_of(task.header.address);
  return unit ? units_[*unit]->execute(request) : without_unit(request);
}

/// What a target says of a unit that it does not have (SPC-4, 6.6 and 6.39).
Answer Scsi::without_unit(const Request& request) const {
  if (request.cdb[0] == kRequestSense)
    return storage::scsi::answer(request, fixed_format(kNoSuchUnit), request.cdb[4]);
  if (request.cdb[0] != kInquiry) return failed(kNoSuchUnit);
  std::vector<uint8_t> bytes(36);
  bytes[0] = 0x7f;  // and none can be put there
  bytes[2] = 0x06;
  bytes[3] = 0x12;
  bytes[4] = static_cast<uint8_t>(bytes.size() - 5);
  return storage::scsi::answer(request, bytes, field(request.cdb, 3, 2));
}

/// REPORT LUNS (SPC-4, 6.33).
Answer Scsi::report_units(const Request& request) const {
  constexpr uint8_t kOnlyWellKnown = 1, kAll = 2;
  const uint64_t allocated = field(request.cdb, 6, 4);
  if (request.cdb[2] > kAll || allocated < 16) return failed(kInvalidField);
  std::vector<uint8_t> bytes(8);
  for (size_t number = 0; number < units_.size() && request.cdb[2] != kOnlyWellKnown; ++number) {
    storage::append_big(bytes, 2, number);
    bytes.resize(bytes.size() + 6);
  }
  storage::put_big(std::span(bytes).first(4), bytes.size() - 8);
  return storage::scsi::answer(request, bytes, allocated);
}

uint32_t Scsi::respond(const Task& task, ScsiResponse response, const Answer& answer, uint64_t expected) {
  std::vector<uint8_t> sense;
  if (answer.sense.key != 0) sense = fixed_format(answer.sense);
  sense.resize(std::min<uint64_t>(sense.size(), task.sense_bytes));
  const ScsiCommandStatus status = {
      .sense_length = static_cast<uint32_t>(sense.size()),
      .residual = static_cast<uint32_t>(expected - std::min(expected, answer.moved)),
      .status = answer.sense.key != 0 ? kCheckCondition : uint8_t{0},
      .response = response};
  const bool told = task.chain->write(dma(), sizeof status, sense.data(), sense.size()) &&
                    task.chain->write(dma(), 0, &status, sizeof status);
  if (!told) return 0;
  const uint64_t data = task.chain->readable_bytes() > task.sent_at ? 0 : answer.moved;
  return static_cast<uint32_t>(sizeof status + task.sense_bytes + data);
}

// Task management.

uint32_t Scsi::control(const Chain& chain) {
  ScsiControl type{};
  TaskManagement request;
  EventQuery query;
  if (chain.read(dma(), 0, &type, sizeof type) && type == ScsiControl::kTaskManagement &&
      chain.read(dma(), 0, &request, sizeof request) && chain.writable_bytes() != 0) {
    const ScsiResponse response = manage(request);
    return chain.write(dma(), 0, &response, sizeof response) ? sizeof response : 0;
  }
  if ((type == ScsiControl::kQueryEvents || type == ScsiControl::kSubscribe) &&
      chain.read(dma(), 0, &query, sizeof query) && chain.writable_bytes() >= sizeof(EventAnswer)) {
    const EventAnswer none;  // no unit here reports events of its own accord
    return chain.write(dma(), 0, &none, sizeof none) ? sizeof none : 0;
  }
  const Lock held = lock();
  need_reset();
  return 0;
}

ScsiResponse Scsi::manage(const TaskManagement& request) {
  if (!on_target(request.address)) return ScsiResponse::kBadTarget;
  const bool nexus = request.function == TaskFunction::kNexusReset;
  Scope scope;
  if (!nexus) {
    scope.unit = unit_of(request.address);
    if (!scope.unit) return ScsiResponse::kIncorrectUnit;
  }
  Lock held = lock();
  const auto end_tasks = [&](ScsiResponse why) {
    const uint64_t last = last_task_;
    give_back_kept(scope, why);
    task_ended_.wait(held, [&] { return !has_task(scope, last); });
  };
  keep_all();
  switch (request.function) {
    case TaskFunction::kAbortTask:
      scope.tag = request.tag;
      [[fallthrough]];
    case TaskFunction::kAbortTaskSet:
    case TaskFunction::kClearTaskSet:
      end_tasks(ScsiResponse::kAborted);
      return ScsiResponse::kOk;
    case TaskFunction::kNexusReset:
    case TaskFunction::kUnitReset:
      end_tasks(ScsiResponse::kReset);
      held.unlock();  // a unit may be busy with what came later
      for (unsigned i = 0; i < units_.size(); ++i)
        if (nexus || scope.unit == i) units_[i]->reset(kUnitReset);
      return ScsiResponse::kOk;
    case TaskFunction::kQueryTask:
      scope.tag = request.tag;
      [[fallthrough]];
    case TaskFunction::kQueryTaskSet:
      return has_task(scope, last_task_) || has_kept(scope) ? ScsiResponse::kSucceeded : ScsiResponse::kOk;
    default:
      return ScsiResponse::kRejected;
  }
}

bool Scsi::concerns(const Scope& scope, const ScsiCommandHeader& header) const {
  return on_target(header.address) && (!scope.unit || unit_of(header.address) == scope.unit) &&
         (!scope.tag || header.tag == *scope.tag);
}

bool Scsi::has_task(const Scope& scope, uint64_t up_to) const {
  return std::ranges::any_of(tasks_, [&](const Task& task) {
    return task.number <= up_to && task.possible && concerns(scope, task.header);
  });
}

bool Scsi::has_kept(const Scope& scope) {
  for (const auto& kept : kept_)
    for (const Chain& chain : kept)
      if (const Task task = read_task(chain); task.possible && concerns(scope, task.header)) return true;
  return false;
}

/// Takes what the rings have. A driver cannot have more under way than a ring has entries.
void Scsi::keep_all() {
  Chain chain;
  for (unsigned i = 0; i < request_queues_; ++i) {
    while (take(kFirstRequest + i, chain)) {
      kept_[i].push_back(std::move(chain));
      if (kept_[i].size() > kQueueSize) return need_reset();
    }
    if (!kept_[i].empty()) RequestDevice::queue_notified(kFirstRequest + i);
  }
}

void Scsi::give_back_kept(const Scope& scope, ScsiResponse response) {
  for (unsigned i = 0; i < request_queues_; ++i) {
    bool any = false;
    std::erase_if(kept_[i], [&](const Chain& chain) {
      const Task task = read_task(chain);
      if (!task.possible || !concerns(scope, task.header)) return false;
      give_back(kFirstRequest + i, chain, respond(task, response, {}, 0));
      return any = true;
    });
    if (any) signal(kFirstRequest + i);
  }
}

}  // namespace eidolon::device::virtio
