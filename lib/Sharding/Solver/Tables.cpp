//===- Tables.cpp - Equal tables are held once ----------------------------===//

#include "Tables.h"
#include <algorithm>

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

size_t TableOps::KeyHash::operator()(const Key &key) const {
  return hashOf(reinterpret_cast<const int64_t *>(key.data()), key.size());
}

uintptr_t TableOps::keep(const CostTable &table) {
  kept.try_emplace(table.get(), table);
  return reinterpret_cast<uintptr_t>(table.get());
}

const TableOps::Normal &TableOps::normalize(const CostTable &table,
                                            size_t rows) {
  auto [entry, isNew] = normals.try_emplace({keep(table), rows});
  Normal &result = entry->second;
  if (!isNew)
    return result;
  size_t columns = table->size() / rows;
  std::vector<Cost> rest = *table, rowMin(rows, kForbidden),
                    columnMin(columns, kForbidden);
  for (size_t r = 0; r < rows; ++r) {
    Cost *row = rest.data() + r * columns;
    rowMin[r] = std::min(kForbidden, *std::min_element(row, row + columns));
    for (size_t c = 0; c < columns; ++c) {
      row[c] = row[c] >= kForbidden ? kForbidden : sum(row[c], -rowMin[r]);
      columnMin[c] = std::min(columnMin[c], row[c]);
    }
  }
  result.separable = true;
  for (size_t r = 0; r < rows; ++r) {
    Cost *row = rest.data() + r * columns;
    for (size_t c = 0; c < columns; ++c) {
      if (row[c] < kForbidden)
        row[c] = sum(row[c], -columnMin[c]);
      // A forbidden entry is priced already where its whole row or column is.
      bool priced = rowMin[r] >= kForbidden || columnMin[c] >= kForbidden;
      result.separable &= row[c] == 0 || priced;
    }
  }
  result.rows = intern(std::move(rowMin));
  result.columns = intern(std::move(columnMin));
  result.rest = intern(std::move(rest));
  return result;
}

CostTable TableOps::transpose(const CostTable &table, size_t rows) {
  CostTable &result = transposed[{keep(table), rows}];
  if (result)
    return result;
  size_t columns = table->size() / rows;
  std::vector<Cost> turned(table->size());
  for (size_t r = 0; r < rows; ++r)
    for (size_t c = 0; c < columns; ++c)
      turned[c * rows + r] = (*table)[r * columns + c];
  result = intern(std::move(turned));
  // And back: no second table needs to be made.
  CostTable &back = transposed[{keep(result), columns}];
  if (!back)
    back = table;
  return result;
}

CostTable TableOps::add(const CostTable &a, const CostTable &b) {
  CostTable &result = sums[{keep(a), keep(b)}];
  if (result)
    return result;
  std::vector<Cost> added(a->size());
  for (size_t i = 0; i < added.size(); ++i)
    added[i] = sum((*a)[i], (*b)[i]);
  return result = intern(std::move(added));
}

CostTable TableOps::gather(const CostTable &table, size_t rows,
                           const CostTable &which) {
  CostTable &result = gathered[{keep(table), rows, keep(which)}];
  if (result)
    return result;
  size_t columns = table->size() / rows;
  std::vector<Cost> taken;
  taken.reserve(which->size() * columns);
  for (Cost row : *which) {
    auto begin = table->begin() + row * static_cast<Cost>(columns);
    taken.insert(taken.end(), begin, begin + static_cast<Cost>(columns));
  }
  return result = intern(std::move(taken));
}

CostTable TableOps::minPlus(const CostTable &costs, const CostTable &left,
                            const CostTable &right) {
  CostTable &result = products[{keep(costs), keep(left), keep(right)}];
  if (result)
    return result;
  size_t values = costs->size(), rows = left->size() / values,
         columns = right->size() / values;
  std::vector<Cost> best(rows * columns, kForbidden);
  for (size_t v = 0; v < values; ++v)
    for (size_t r = 0; r < rows; ++r) {
      Cost base = sum((*costs)[v], (*left)[v * rows + r]);
      if (base >= kForbidden)
        continue;
      const Cost *row = right->data() + v * columns;
      Cost *out = best.data() + r * columns;
      // Forbidden plus a base of less than `largest` still stands out from
      // what is finite; it is put right below.
      for (size_t c = 0; c < columns; ++c)
        out[c] = std::min(out[c], base + row[c]);
    }
  for (Cost &cost : best) {
    if (cost >= kForbidden - largest)
      cost = kForbidden;
    sum(cost, 0);
  }
  return result = intern(std::move(best));
}

CostTable TableOps::onlyColumns(const CostTable &table, size_t rows) {
  auto [entry, isNew] = functions.try_emplace({keep(table), rows});
  if (!isNew)
    return entry->second;
  size_t columns = table->size() / rows;
  std::vector<Cost> only;
  for (size_t r = 0; r < rows; ++r) {
    auto row = table->begin() + static_cast<Cost>(r * columns);
    auto isFinite = [](Cost cost) { return cost < kForbidden; };
    auto end = row + static_cast<Cost>(columns);
    auto found = std::find_if(row, end, isFinite);
    if (found == end || std::find_if(found + 1, end, isFinite) != end)
      return nullptr;
    only.push_back(found - row);
  }
  return entry->second = intern(std::move(only));
}
