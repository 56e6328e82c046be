//===- Tables.h - Equal tables are held once --------------------*- C++ -*-===//
//
// The graph of a model repeats its layers, and its problem repeats their
// tables: of the 52,234 tables of an IOPDDL instance, 1,898 differ. Held once,
// equal tables are equal pointers, and what was computed from them once needs
// not be computed again.
//
// Tables are row-major. Every operation takes the number of rows; an entry of
// kForbidden or more is kForbidden exactly, and sums with it are, too.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_SOLVER_TABLES_H
#define TPC_LIB_SHARDING_SOLVER_TABLES_H

#include "tpc/Sharding/Solver/Problem.h"
#include <array>
#include <unordered_map>

namespace tpc::solver {

/// A vector's content as a number; equal vectors have equal hashes.
uint64_t hashOf(const int64_t *values, size_t count);

/// Vectors by content.
class VectorPool {
public:
  /// The one held vector with this content.
  CostTable intern(std::vector<Cost> &&values);

private:
  std::unordered_multimap<uint64_t, CostTable> held;
};

/// Operations on interned tables. Each is computed once per arguments, which
/// the memo also keeps alive, so that pointers stay unique.
class TableOps {
public:
  /// Finite sums must stay below this; where one does not, overflowed() is set
  /// and all results are worthless.
  static constexpr Cost largest = Cost(1) << 58;

  CostTable intern(std::vector<Cost> &&values) {
    return pool.intern(std::move(values));
  }

  /// table[r][c] == rows[r] + columns[c] + rest[r][c], where rest has a zero in
  /// each row and each column that has a finite entry; an offset is kForbidden
  /// where none has.
  struct Normal {
    CostTable rows, columns, rest;
    /// Nothing is left to price: the table was a sum of its offsets.
    bool separable = false;
  };
  const Normal &normalize(const CostTable &table, size_t rows);

  CostTable transpose(const CostTable &table, size_t rows);
  CostTable add(const CostTable &a, const CostTable &b);
  /// Row i of the result is row `which[i]` of the table.
  CostTable gather(const CostTable &table, size_t rows, const CostTable &which);
  /// result[a][b] = min over v of costs[v] + left[v][a] + right[v][b].
  CostTable minPlus(const CostTable &costs, const CostTable &left,
                    const CostTable &right);
  /// The column of the only finite entry, by row; null if some row has not
  /// exactly one.
  CostTable onlyColumns(const CostTable &table, size_t rows);

  Cost sum(Cost a, Cost b) {
    if (a >= kForbidden || b >= kForbidden)
      return kForbidden;
    Cost result = a + b;
    if (result >= largest || result <= -largest)
      tooLarge = true;
    return result;
  }
  bool overflowed() const { return tooLarge; }

private:
  using Key = std::array<uintptr_t, 3>;
  struct KeyHash {
    size_t operator()(const Key &key) const;
  };
  template <typename Value>
  using Memo = std::unordered_map<Key, Value, KeyHash>;

  VectorPool pool;
  Memo<Normal> normals;
  Memo<CostTable> transposed, sums, gathered, products, functions;
  /// Arguments of memoized results.
  std::unordered_map<const void *, CostTable> kept;
  uintptr_t keep(const CostTable &table);
  bool tooLarge = false;
};

} // namespace tpc::solver

#endif // TPC_LIB_SHARDING_SOLVER_TABLES_H
