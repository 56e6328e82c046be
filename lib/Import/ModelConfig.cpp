//===- ModelConfig.cpp - Reading config.json ------------------------------===//

#include "ModelConfig.h"
#include "ConfigKeys.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Path.h"
#include <simdjson.h>

using namespace mlir;
using namespace tpc;

using Element = simdjson::dom::element;

struct ModelConfig::Object {
  /// The value of a key that is there and not null; the key counts as asked
  /// for.
  std::optional<Element> lookup(StringRef key) {
    asked.insert(key);
    Element value;
    if (!fields ||
        fields->at_key(std::string_view(key.data(), key.size())).get(value) ||
        value.is_null())
      return std::nullopt;
    return value;
  }

  /// Nothing where the key of a section is absent.
  std::optional<simdjson::dom::object> fields;
  /// "rope_parameters." for a section.
  std::string prefix;
  llvm::StringSet<> asked;
};

struct ModelConfig::Document {
  simdjson::dom::parser parser;
  std::optional<Location> location;
  /// The whole and every section that was asked for.
  std::vector<std::shared_ptr<Object>> objects;
};

ModelConfig::ModelConfig(std::shared_ptr<Document> document,
                         std::shared_ptr<Object> object, std::string prefix)
    : document(std::move(document)), object(std::move(object)),
      prefix(std::move(prefix)) {}

FailureOr<ModelConfig> ModelConfig::read(MLIRContext *context,
                                         StringRef directory) {
  llvm::SmallString<256> path(directory);
  llvm::sys::path::append(path, "config.json");
  auto document = std::make_shared<Document>();
  document->location = FileLineColLoc::get(context, path, 1, 1);
  auto root = std::make_shared<Object>();
  simdjson::dom::element element;
  simdjson::dom::object fields;
  auto code = document->parser.load(path.str().str()).get(element);
  if (!code)
    code = element.get_object().get(fields);
  if (code)
    return emitError(*document->location)
           << "cannot read " << path << ": expected a JSON object; "
           << simdjson::error_message(code);
  root->fields = fields;
  document->objects.push_back(root);
  return ModelConfig(std::move(document), std::move(root), "");
}

Location ModelConfig::location() const { return *document->location; }
InFlightDiagnostic ModelConfig::error() const { return emitError(location()); }

bool ModelConfig::has(StringRef key) const {
  return object->lookup(key).has_value();
}

bool ModelConfig::isNull(StringRef key) const {
  object->asked.insert(key);
  Element value;
  return object->fields &&
         !object->fields->at_key(std::string_view(key.data(), key.size()))
              .get(value) &&
         value.is_null();
}

/// "found ...", with at most 40 characters of the value.
static std::string foundText(Element value) {
  std::string text = simdjson::minify(value);
  return "found " + StringRef(text).take_front(40).str();
}

/// `value`, which is that of `key`, as a T; `what` names the expected kind in
/// errors.
template <typename T>
static FailureOr<T> get(const ModelConfig &config, std::optional<Element> value,
                        const Twine &key, std::optional<T> fallback,
                        StringRef what) {
  if (!value) {
    if (fallback)
      return *fallback;
    return config.error() << "missing key \"" << key << "\"; expected " << what;
  }
  T result;
  if (value->get<T>().get(result))
    return config.error() << "key \"" << key << "\": expected " << what << ", "
                          << foundText(*value);
  return result;
}

FailureOr<int64_t> ModelConfig::integer(StringRef key,
                                        std::optional<int64_t> fallback) const {
  return get<int64_t>(*this, object->lookup(key), prefix + key, fallback,
                      "an integer");
}

FailureOr<int64_t> ModelConfig::size(StringRef key,
                                     std::optional<int64_t> fallback,
                                     int64_t limit) const {
  FailureOr<int64_t> value = integer(key, fallback);
  if (succeeded(value) && (*value < 1 || *value > limit))
    return error() << "key \"" << prefix << key
                   << "\": expected a size from 1 to " << limit << ", found "
                   << *value;
  return value;
}

FailureOr<double> ModelConfig::number(StringRef key,
                                      std::optional<double> fallback) const {
  return get<double>(*this, object->lookup(key), prefix + key, fallback,
                     "a number");
}

FailureOr<bool> ModelConfig::flag(StringRef key, bool fallback) const {
  return get<bool>(*this, object->lookup(key), prefix + key, fallback,
                   "true or false");
}

FailureOr<std::string>
ModelConfig::text(StringRef key, std::optional<std::string> fallback) const {
  std::optional<std::string_view> view;
  if (fallback)
    view = *fallback;
  auto value = get<std::string_view>(*this, object->lookup(key), prefix + key,
                                     view, "a string");
  if (failed(value))
    return failure();
  return std::string(*value);
}

FailureOr<std::string> ModelConfig::firstText(StringRef key) const {
  std::optional<Element> value = object->lookup(key);
  std::string_view first;
  if (!value || value->at_pointer("/0").get<std::string_view>().get(first))
    return error() << "key \"" << prefix << key
                   << "\": expected a list of strings";
  return std::string(first);
}

FailureOr<std::vector<std::string>> ModelConfig::texts(StringRef key) const {
  std::optional<Element> value = object->lookup(key);
  std::vector<std::string> result;
  if (!value)
    return result;
  auto list = get<simdjson::dom::array>(*this, value, prefix + key,
                                        std::nullopt, "a list of strings");
  if (failed(list))
    return failure();
  for (Element element : *list) {
    std::string_view text;
    if (element.get<std::string_view>().get(text))
      return error() << "key \"" << prefix << key
                     << "\": expected a list of strings, " << foundText(*value);
    result.emplace_back(text);
  }
  return result;
}

FailureOr<std::vector<double>> ModelConfig::numbers(StringRef key) const {
  std::optional<Element> value = object->lookup(key);
  auto list = get<simdjson::dom::array>(*this, value, prefix + key,
                                        std::nullopt, "a list of numbers");
  if (failed(list))
    return failure();
  std::vector<double> result;
  for (Element element : *list) {
    double number;
    if (element.get<double>().get(number))
      return error() << "key \"" << prefix << key
                     << "\": expected a list of numbers, " << foundText(*value);
    result.push_back(number);
  }
  return result;
}

FailureOr<std::vector<int64_t>>
ModelConfig::sizes(StringRef key, size_t count,
                   std::optional<int64_t> fallback) const {
  std::optional<Element> value = object->lookup(key);
  if (!value || !value->is_array()) {
    auto one = size(key, fallback);
    if (failed(one))
      return failure();
    return std::vector<int64_t>(count, *one);
  }
  std::vector<int64_t> result;
  for (Element element : value->get_array().value_unsafe()) {
    int64_t one;
    if (!element.get<int64_t>().get(one) && one > 0 && one < int64_t(1) << 31)
      result.push_back(one);
  }
  if (result.size() != count)
    return error() << "key \"" << prefix << key << "\": expected a size or "
                   << count << " sizes, " << foundText(*value);
  return result;
}

FailureOr<int64_t> ModelConfig::entries(StringRef key) const {
  auto fields = get<simdjson::dom::object>(
      *this, object->lookup(key), prefix + key, std::nullopt, "an object");
  if (failed(fields))
    return failure();
  return static_cast<int64_t>(fields->size());
}

FailureOr<ModelConfig> ModelConfig::section(StringRef key) const {
  std::string inside = prefix + key.str() + ".";
  for (const std::shared_ptr<Object> &known : document->objects)
    if (known->prefix == inside)
      return ModelConfig(document, known, inside);
  auto inner = std::make_shared<Object>();
  inner->prefix = inside;
  if (std::optional<Element> value = object->lookup(key)) {
    auto fields = get<simdjson::dom::object>(*this, value, prefix + key,
                                             std::nullopt, "an object");
    if (failed(fields))
      return failure();
    inner->fields = *fields;
  }
  document->objects.push_back(inner);
  return ModelConfig(document, std::move(inner), std::move(inside));
}

LogicalResult ModelConfig::expect(StringRef key, StringRef value) const {
  std::optional<Element> found = object->lookup(key);
  if (!found || simdjson::minify(*found) == value)
    return success();
  return error() << "key \"" << prefix << key << "\": expected " << value
                 << ", " << foundText(*found) << ", which is not supported";
}

LogicalResult
ModelConfig::checkAllKeysAreKnown(StringRef architecture,
                                  ArrayRef<StringRef> ignored) const {
  for (const std::shared_ptr<Object> &section : document->objects)
    if (failed(checkKeysOf(*section, architecture, ignored)))
      return failure();
  return success();
}

LogicalResult ModelConfig::checkKeysOf(const Object &section,
                                       StringRef architecture,
                                       ArrayRef<StringRef> ignored) const {
  if (!section.fields)
    return success();
  for (auto [view, value] : *section.fields) {
    StringRef key(view.data(), view.size());
    std::string name = section.prefix + key.str();
    std::string text = simdjson::minify(value);
    if (value.is_null() || section.asked.contains(key) ||
        llvm::is_contained(keysWithoutEffect(), key) ||
        llvm::is_contained(valuesWithoutEffect(),
                           std::pair<StringRef, StringRef>(key, text)) ||
        llvm::is_contained(ignored, StringRef(name)))
      continue;
    return error() << "key \"" << name << "\" is not known for " << architecture
                   << ": it may say something about the model that the result "
                      "would lack, "
                   << foundText(value)
                   << "; if the model does not depend on it, remove it from "
                      "config.json";
  }
  return success();
}
