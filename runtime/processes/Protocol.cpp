// Messages to bytes and back: each kind lists its fields once, for both.
#include "processes/Protocol.h"
#include "support/Fail.h"

using namespace tpcrt;
using namespace tpcrt::protocol;

static constexpr std::string_view magic = "tpcg";

template <class F> static void fields(ProcessInfo &info, F &field) {
  field(info.rank), field(info.pid), field(info.hostName), field(info.hostKey);
}
template <class F> static void fields(Hello &hello, F &field) {
  field(hello.version);
  if (hello.version != version)
    return;
  field(hello.size), field(hello.waitMillis), field(hello.token);
  field(hello.fingerprint), fields(hello.process, field);
}
template <class F> static void fields(Accepted &accepted, F &field) {
  fields(accepted.process, field);
}
template <class F> static void fields(Refused &refused, F &field) {
  field(refused.message);
}
template <class F> static void fields(Welcome &welcome, F &field) {
  field.count(welcome.processes);
  for (ProcessInfo &process : welcome.processes)
    fields(process, field);
}
template <class F> static void fields(Contribution &contribution, F &field) {
  field(contribution.sequence), field(contribution.waitMillis);
  field(contribution.call), field(contribution.blob);
}
template <class F> static void fields(Part &part, F &field) {
  field(part.sequence), field(part.rank), field(part.blob);
}
template <class F> static void fields(Abort &abort, F &field) {
  field(abort.message);
}
template <class F> static void fields(Failed &failed, F &field) {
  field(failed.rank), field(failed.message);
}

namespace {

class Writer {
public:
  std::string bytes;

  template <std::unsigned_integral T> void operator()(T value) {
    for (size_t i = 0; i < sizeof(T); ++i)
      bytes.push_back(char(value >> (8 * i)));
  }
  void operator()(const std::string &text) {
    (*this)(uint32_t(text.size()));
    bytes += text;
  }
  void count(const std::vector<ProcessInfo> &processes) {
    (*this)(uint32_t(processes.size()));
  }
};

/// Reads zeros after what ends too early, and knows that it did.
class Reader {
public:
  explicit Reader(std::string_view bytes) : bytes(bytes) {}
  std::string_view bytes;
  bool good = true;

  template <std::unsigned_integral T> void operator()(T &value) {
    value = 0;
    std::string_view taken = take(sizeof(T));
    for (size_t i = 0; i < taken.size(); ++i)
      value |= T(T(uint8_t(taken[i])) << (8 * i));
  }
  void operator()(std::string &text) {
    uint32_t size;
    (*this)(size);
    text = take(size);
  }
  void count(std::vector<ProcessInfo> &processes) {
    uint32_t count;
    (*this)(count);
    constexpr size_t leastBytes = 4 + 8 + 4 + 4; // of a process
    if (count > bytes.size() / leastBytes)
      good = false;
    else
      processes.resize(count);
  }

private:
  std::string_view take(size_t size) {
    if (size > bytes.size()) {
      good = false;
      bytes = {};
    }
    std::string_view taken = bytes.substr(0, good ? size : 0);
    bytes.remove_prefix(taken.size());
    return taken;
  }
};

} // namespace

/// The message of that index in the variant, empty.
template <size_t... indices>
static std::optional<Message> emptyMessage(size_t kind,
                                           std::index_sequence<indices...>) {
  std::optional<Message> message;
  ((kind == indices ? void(message.emplace(std::in_place_index<indices>))
                    : void()),
   ...);
  return message;
}

Frame protocol::encode(const Message &message) {
  Writer body;
  body(uint8_t(message.index()));
  // `fields` serves reading too, which changes them.
  std::visit(
      [&](const auto &kind) {
        fields(const_cast<std::decay_t<decltype(kind)> &>(kind), body);
      },
      message);
  Writer frame;
  frame.bytes = magic;
  frame(body.bytes);
  return std::make_shared<const std::string>(std::move(frame.bytes));
}

Result<Message> protocol::decode(std::string_view body) {
  Reader reader(body);
  uint8_t kind;
  reader(kind);
  std::optional<Message> message = emptyMessage(
      kind, std::make_index_sequence<std::variant_size_v<Message>>());
  if (!reader.good || !message)
    return fail("expected a kind of message below {}, found {}",
                std::variant_size_v<Message>, kind);
  std::visit([&](auto &kind) { fields(kind, reader); }, *message);
  auto *hello = std::get_if<Hello>(&*message);
  bool other = hello && hello->version != version;
  if (!reader.good || (!reader.bytes.empty() && !other))
    return fail("a message of kind {} in {} bytes does not fit its fields",
                kind, body.size());
  return std::move(*message);
}

Result<std::optional<Message>> FrameReader::next() {
  size_t begun = std::min(pending.size(), magic.size());
  if (pending.compare(0, begun, magic, 0, begun) != 0)
    return fail("expected a message of tpc, found other bytes");
  if (pending.size() < headerBytes)
    return std::nullopt;
  uint32_t size;
  Reader(std::string_view(pending).substr(magic.size()))(size);
  if (size > maxBytes)
    return fail("expected a message of at most {} bytes, found one of {}",
                maxBytes, size);
  if (pending.size() - headerBytes < size)
    return std::nullopt;
  TPCRT_ASSIGN(Message message,
               decode(std::string_view(pending).substr(headerBytes, size)));
  pending.erase(0, headerBytes + size);
  return std::optional<Message>(std::move(message));
}
