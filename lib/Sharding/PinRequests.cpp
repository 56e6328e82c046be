//===- PinRequests.cpp - Pins in the user's words -------------------------===//

#include "PinTable.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/IR/Diagnostics.h"

using namespace mlir;
using namespace tpc;

std::string PinRequest::str() const { return "--pin \"" + text + "\""; }

namespace {

/// Reads one request; `error` says what is wrong with it.
class RequestParser {
public:
  RequestParser(MLIRContext *context, const Mesh &mesh, std::string &error)
      : context(context), mesh(mesh), error(error) {}

  std::optional<PinRequest> parse(StringRef text) {
    auto [name, value] = text.split('=');
    request.text = text.str();
    name = name.trim();
    value = value.trim();
    if (name.empty() || value.empty())
      return fail("expected NAME=SHARDING, NAME=colwise, NAME=rowwise, "
                  "NAME=replicated or AXIS=batch");
    setName(name);
    if (value.starts_with("["))
      return readSharding(value);
    if (value == "batch")
      return readAxisRule(name);
    if (value == "replicated")
      return request;
    auto [kind, axis] = value.split(':');
    if (kind != "colwise" && kind != "rowwise")
      return fail("expected a sharding like [{\"tp\"}, {}], colwise, rowwise, "
                  "replicated or batch; found " +
                  value.str());
    request.kind = kind == "colwise" ? PinRequest::Column : PinRequest::Row;
    if (request.entry)
      return fail("arguments and results take a sharding or \"replicated\"; "
                  "colwise and rowwise are of parameters");
    if (value.contains(':') && !readAxis(axis))
      return std::nullopt;
    return request;
  }

private:
  std::nullopt_t fail(const std::string &message) {
    error = message;
    return std::nullopt;
  }

  void setName(StringRef name) {
    request.name = name.str();
    if (!name.contains('@'))
      return;
    auto [entry, port] = name.split('@');
    request.entry = entry.empty() ? "*" : entry.str();
    request.name = port.str();
  }

  bool readAxis(StringRef name) {
    AxisRef axis{StringAttr::get(context, name)};
    if (auto problem = mesh.check(axis)) {
      error = *problem;
      return false;
    }
    request.axes.push_back(axis);
    return true;
  }

  std::optional<PinRequest> readAxisRule(StringRef axis) {
    if (!readAxis(axis))
      return std::nullopt;
    request.kind = PinRequest::Batch;
    return request;
  }

  std::optional<PinRequest> readSharding(StringRef text) {
    ScopedDiagnosticHandler handler(context, [&](Diagnostic &d) {
      if (error.empty())
        error = "expected a sharding like [{\"tp\"}, {}]: " + d.str();
      return success();
    });
    std::string whole =
        ("#tpc.sharding<@" + mesh.symbol.getValue() + ", " + text + ">").str();
    auto attribute =
        dyn_cast_or_null<ShardingAttr>(parseAttribute(whole, context));
    if (!attribute)
      return std::nullopt;
    request.sharding = attribute.getValue();
    if (request.sharding->isPartial())
      return fail("what is stored, given or returned is not partial");
    if (auto problem = mesh.check(*request.sharding))
      return fail(*problem);
    return request;
  }

  MLIRContext *context;
  const Mesh &mesh;
  std::string &error;
  PinRequest request;
};

} // namespace

FailureOr<std::vector<PinRequest>>
tpc::parsePinRequests(ModuleOp module, const Mesh &mesh,
                      ArrayRef<std::string> texts) {
  std::vector<PinRequest> requests;
  for (const std::string &text : texts) {
    std::string error;
    auto request = RequestParser(module.getContext(), mesh, error).parse(text);
    if (!request)
      return emitError(module.getLoc())
             << "--pin \"" << text << "\": " << error;
    requests.push_back(std::move(*request));
  }
  return requests;
}

//===----------------------------------------------------------------------===//
// As attributes
//===----------------------------------------------------------------------===//

static void setPin(const Place &place, ShardingAttr pin) {
  auto function = dyn_cast<func::FuncOp>(place.op);
  if (place.kind == Place::Argument)
    function.setArgAttr(place.index, kShardingAttrName, pin);
  else if (place.kind == Place::Result)
    function.setResultAttr(place.index, kShardingAttrName, pin);
  else if (place.kind != Place::Shard)
    place.op->setAttr(kShardingAttrName, pin);
}

LogicalResult tpc::setPins(ModuleOp module, const Mesh &mesh,
                           ArrayRef<PinRequest> requests, StringRef mode) {
  for (const PinRequest &request : requests)
    if (request.kind != PinRequest::Exact)
      return emitError(module.getLoc())
             << request.str() << ": mode \"" << mode
             << "\" takes shardings only; use mode \"auto\"";
  FailureOr<PinTable> table = PinTable::read(module, mesh, requests);
  if (failed(table))
    return failure();
  for (const Place &place : table->places()) {
    if (place.restrictions.empty())
      continue;
    const Restriction &first = place.restrictions.front();
    for (const Restriction &other : ArrayRef(place.restrictions).drop_front())
      if (other.sharding != first.sharding)
        return emitError(place.location)
               << table->pins()[other.pin].text << " is not "
               << table->pins()[first.pin].text << " of " << place.text
               << "; mode \"" << mode
               << "\" takes one pin for each, mode \"auto\" what several "
                  "leave";
    setPin(place, ShardingAttr::get(module.getContext(), first.sharding));
  }
  return success();
}
