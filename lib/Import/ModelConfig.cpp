//===- ModelConfig.cpp - Reading config.json ------------------------------===//

#include "ModelConfig.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/Path.h"
#include <simdjson.h>

using namespace mlir;
using namespace tpc;

struct ModelConfig::Document {
  simdjson::dom::parser parser;
  simdjson::dom::object root;
  std::optional<Location> location;
};

ModelConfig::ModelConfig(std::unique_ptr<Document> document)
    : document(std::move(document)) {}
ModelConfig::ModelConfig(ModelConfig &&) = default;
ModelConfig &ModelConfig::operator=(ModelConfig &&) = default;
ModelConfig::~ModelConfig() = default;

FailureOr<ModelConfig> ModelConfig::read(MLIRContext *context,
                                         StringRef directory) {
  llvm::SmallString<256> path(directory);
  llvm::sys::path::append(path, "config.json");
  auto document = std::make_unique<Document>();
  document->location = FileLineColLoc::get(context, path, 1, 1);
  simdjson::dom::element element;
  auto code = document->parser.load(path.str().str()).get(element);
  if (!code)
    code = element.get_object().get(document->root);
  if (code)
    return emitError(*document->location)
           << "cannot read " << path << ": expected a JSON object; "
           << simdjson::error_message(code);
  return ModelConfig(std::move(document));
}

Location ModelConfig::location() const { return *document->location; }
InFlightDiagnostic ModelConfig::error() const { return emitError(location()); }

static std::optional<simdjson::dom::element>
lookup(const simdjson::dom::object &root, StringRef key) {
  simdjson::dom::element value;
  if (root.at_key(std::string_view(key.data(), key.size())).get(value) ||
      value.is_null())
    return std::nullopt;
  return value;
}

bool ModelConfig::has(StringRef key) const {
  return lookup(document->root, key).has_value();
}

/// The value of `key` as a T; `what` names the expected kind in errors.
template <typename T>
static FailureOr<T> get(const ModelConfig &config,
                        const simdjson::dom::object &root, StringRef key,
                        std::optional<T> fallback, StringRef what) {
  std::optional<simdjson::dom::element> value = lookup(root, key);
  if (!value) {
    if (fallback)
      return *fallback;
    return config.error() << "missing key \"" << key << "\"; expected " << what;
  }
  T result;
  if (value->get<T>().get(result)) {
    std::string found = simdjson::minify(*value);
    return config.error() << "key \"" << key << "\": expected " << what
                          << ", found " << StringRef(found).take_front(40);
  }
  return result;
}

FailureOr<int64_t> ModelConfig::integer(StringRef key,
                                        std::optional<int64_t> fallback) const {
  return get<int64_t>(*this, document->root, key, fallback, "an integer");
}

FailureOr<int64_t> ModelConfig::size(StringRef key,
                                     std::optional<int64_t> fallback,
                                     int64_t limit) const {
  FailureOr<int64_t> value = integer(key, fallback);
  if (succeeded(value) && (*value < 1 || *value > limit))
    return error() << "key \"" << key << "\": expected a size from 1 to "
                   << limit << ", found " << *value;
  return value;
}

FailureOr<double> ModelConfig::number(StringRef key,
                                      std::optional<double> fallback) const {
  return get<double>(*this, document->root, key, fallback, "a number");
}

FailureOr<bool> ModelConfig::flag(StringRef key, bool fallback) const {
  return get<bool>(*this, document->root, key, fallback, "true or false");
}

FailureOr<std::string>
ModelConfig::text(StringRef key, std::optional<std::string> fallback) const {
  std::optional<std::string_view> view;
  if (fallback)
    view = *fallback;
  auto value =
      get<std::string_view>(*this, document->root, key, view, "a string");
  if (failed(value))
    return failure();
  return std::string(*value);
}

FailureOr<std::string> ModelConfig::firstText(StringRef key) const {
  std::optional<simdjson::dom::element> value = lookup(document->root, key);
  std::string_view first;
  if (!value || value->at_pointer("/0").get<std::string_view>().get(first))
    return error() << "key \"" << key << "\": expected a list of strings";
  return std::string(first);
}
