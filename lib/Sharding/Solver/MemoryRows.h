//===- MemoryRows.h - The times at which memory can run out -----*- C++ -*-===//
//
// The limit needs to be checked only when the set of live nodes is maximal.
// These times are the rows, numbered in order; what a node's memory varies by
// is a few segments of rows, and what it takes at least is subtracted from the
// row's slack:
//
//   limit 100       live    bytes by value      row 0 (time 2)   row 1 (time 5)
//   node 0          [0, 5)  {64, 32}            {32, 0}
//   node 1          [2, 9)  {64, 32}            {32, 0}          {32, 0}
//   node 2          [5, 9)  {10}
//                                       slack   36               58
//
// Row 1 can then be dropped: its nodes vary by less than its slack.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_SOLVER_MEMORYROWS_H
#define TPC_LIB_SHARDING_SOLVER_MEMORYROWS_H

#include "Tables.h"

namespace tpc::solver {

/// Rows [begin, end) in which a node takes `bytes` (by value, some value 0).
struct Segment {
  unsigned begin, end;
  CostTable bytes;
};

class MemoryRows {
public:
  MemoryRows(const Problem &problem, TableOps &tables);

  /// Disjoint, in order, varying.
  const std::vector<Segment> &of(unsigned node) const { return memory[node]; }

  /// The node's new value i is its old value `which[i]`.
  void gather(unsigned node, const CostTable &which);
  /// Adds the memory of `gone`, whose value is `valueOf[i]` where that of
  /// `into` is i.
  void merge(unsigned gone, unsigned into, const CostTable &valueOf);

  /// Drops the rows that cannot be violated, or only if another one is.
  /// Returns the nodes whose segments that changed.
  std::vector<unsigned> dropRows();

  size_t count() const { return slack.size(); }
  /// Negative if all choices violate the row. Current after dropRows().
  WideCost slackOf(size_t row) const { return slack[row]; }

private:
  void read(const std::vector<MemoryUse> &uses, unsigned node,
            const std::vector<int64_t> &times);
  /// Appends a segment, its minimum taken from the slack.
  void append(unsigned node, unsigned begin, unsigned end,
              const CostTable &bytes);
  void takeFromSlack(unsigned begin, unsigned end, int64_t bytes);
  /// Drops the rows that no choice violates, or only if it violates one before
  /// or after.
  std::vector<bool> keepMaximal() const;
  /// Drops the rows that no choice violates unless it violates some tight row.
  void dropImplied(std::vector<bool> &kept) const;

  TableOps &tables;
  std::vector<std::vector<Segment>> memory;
  std::vector<WideCost> slack;
  /// To be added to the slack of this and all later rows.
  std::vector<WideCost> change;
};

/// The minimum of slack over a range of rows.
class SlackMinimum {
public:
  explicit SlackMinimum(const MemoryRows &rows);
  WideCost within(unsigned begin, unsigned end) const;

private:
  /// levels[k][i]: the minimum of 2^k rows from i.
  std::vector<std::vector<WideCost>> levels;
};

} // namespace tpc::solver

#endif // TPC_LIB_SHARDING_SOLVER_MEMORYROWS_H
