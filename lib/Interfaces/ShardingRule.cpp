//===- ShardingRule.cpp - How an operation may be split -------------------===//

#include "tpc/Interfaces/ShardingRule.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace tpc;
using llvm::ArrayRef;
using llvm::SmallVector;
using llvm::StringRef;

#include "tpc/Interfaces/ShardingRule.cpp.inc"

StringRef tpc::stringify(FactorKind kind) {
  switch (kind) {
  case FactorKind::Parallel:
    return "parallel";
  case FactorKind::Contracted:
    return "contracted";
  case FactorKind::Synchronized:
    return "synchronized";
  case FactorKind::Indexed:
    return "indexed";
  case FactorKind::Positioned:
    return "positioned";
  case FactorKind::Shifted:
    return "shifted";
  case FactorKind::Whole:
    return "whole";
  }
  llvm_unreachable("unknown factor kind");
}

unsigned ShardingRule::addFactor(std::string name, int64_t size,
                                 FactorKind kind) {
  Factor factor;
  factor.name = std::move(name);
  factor.size = size;
  factor.kind = kind;
  factors.push_back(std::move(factor));
  return factors.size() - 1;
}

Factor *ShardingRule::find(StringRef name) {
  for (Factor &factor : factors)
    if (factor.name == name)
      return &factor;
  return nullptr;
}

/// Reads one tensor of a rule, "b (h d) 1", adding factors as they come.
static TensorFactors parseTensor(StringRef text, ArrayRef<int64_t> shape,
                                 ShardingRule &rule) {
  TensorFactors tensor;
  auto factor = [&](StringRef name, int64_t size) -> unsigned {
    if (Factor *known = rule.find(name)) {
      if (known->size == 0)
        known->size = size;
      return known - rule.factors.begin();
    }
    return rule.addFactor(name.str(), size);
  };
  text = text.trim();
  while (!text.empty()) {
    int64_t size = shape[tensor.size()];
    auto &dim = tensor.emplace_back();
    if (text.consume_front("(")) {
      auto [inside, rest] = text.split(')');
      SmallVector<StringRef> names;
      inside.split(names, ' ', -1, false);
      for (StringRef name : names)
        dim.push_back(factor(name, 0));
      text = rest.ltrim();
      continue;
    }
    auto [name, rest] = text.split(' ');
    if (name != "1")
      dim.push_back(factor(name, size));
    text = rest.ltrim();
  }
  assert(tensor.size() == shape.size() && "rule does not fit the shape");
  return tensor;
}

ShardingRule ShardingRule::parse(StringRef text,
                                 ArrayRef<ArrayRef<int64_t>> operands,
                                 ArrayRef<ArrayRef<int64_t>> results) {
  ShardingRule rule;
  auto [left, right] = text.split("->");
  auto parseSide = [&](StringRef side, ArrayRef<ArrayRef<int64_t>> shapes,
                       auto &tensors) {
    SmallVector<StringRef> parts;
    side.split(parts, ',');
    if (shapes.empty())
      return;
    assert(parts.size() == shapes.size() && "rule does not fit the operation");
    for (auto [part, shape] : llvm::zip_equal(parts, shapes))
      tensors.push_back(parseTensor(part, shape, rule));
  };
  parseSide(left, operands, rule.operands);
  parseSide(right, results, rule.results);
  for (auto [index, factor] : llvm::enumerate(rule.factors)) {
    bool inResult = false;
    for (const TensorFactors &result : rule.results)
      for (const auto &dim : result)
        inResult |= llvm::is_contained(dim, index);
    if (!inResult)
      factor.kind = FactorKind::Contracted;
  }
  return rule;
}

ShardingRule ShardingRule::elementwise(ArrayRef<int64_t> shape,
                                       unsigned numOperands,
                                       unsigned numResults) {
  ShardingRule rule;
  TensorFactors tensor;
  for (auto [i, size] : llvm::enumerate(shape))
    tensor.push_back({rule.addFactor("d" + std::to_string(i), size)});
  rule.operands.assign(numOperands, tensor);
  rule.results.assign(numResults, tensor);
  return rule;
}

std::string ShardingRule::str() const {
  std::string text;
  llvm::raw_string_ostream os(text);
  auto print = [&](ArrayRef<TensorFactors> tensors) {
    llvm::interleaveComma(tensors, os, [&](const TensorFactors &tensor) {
      llvm::interleave(
          tensor, os,
          [&](const auto &dim) {
            if (dim.empty())
              os << '1';
            else if (dim.size() == 1)
              os << factors[dim[0]].name;
            else {
              os << '(';
              llvm::interleave(
                  dim, os, [&](unsigned f) { os << factors[f].name; }, " ");
              os << ')';
            }
          },
          " ");
    });
  };
  print(operands);
  os << " -> ";
  print(results);
  for (const Factor &factor : factors) {
    if (factor.kind == FactorKind::Parallel)
      continue;
    os << "; " << stringify(factor.kind) << ' ' << factor.name;
    if (factor.kind == FactorKind::Contracted)
      os << ' ' << stringifyReduction(factor.reduction);
    if (factor.origin)
      os << " from operand " << *factor.origin;
    for (unsigned operand : factor.partialOperands)
      os << " with partial operand " << operand;
  }
  for (const LinearSet &set : linear) {
    os << "; linear {";
    llvm::interleaveComma(set.operands, os);
    os << "}";
    if (set.reductions.size() > 1)
      os << " any";
  }
  return text;
}
