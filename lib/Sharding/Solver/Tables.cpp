//===- Tables.cpp - Equal tables are held once ----------------------------===//

#include "Tables.h"

using namespace tpc::solver;

uint64_t tpc::solver::hashOf(const int64_t *values, size_t count) {
  // Multiply and fold, as in wyhash: the high half of each product mixes in
  // what a plain multiplication loses.
  __extension__ using Product = unsigned __int128;
  uint64_t hash = 0x9e3779b97f4a7c15u ^ count;
  for (size_t i = 0; i < count; ++i) {
    Product product =
        Product(hash ^ static_cast<uint64_t>(values[i])) * 0xd6e8feb86659fd93u;
    hash = static_cast<uint64_t>(product) ^
           static_cast<uint64_t>(product >> 64) ^ 0xa0761d6478bd642fu;
  }
  return hash;
}

CostTable VectorPool::intern(std::vector<Cost> &&values) {
  uint64_t hash = hashOf(values.data(), values.size());
  auto [begin, end] = held.equal_range(hash);
  for (auto entry = begin; entry != end; ++entry)
    if (*entry->second == values)
      return entry->second;
  values.shrink_to_fit();
  auto table = std::make_shared<const std::vector<Cost>>(std::move(values));
  held.emplace(hash, table);
  return table;
}
