//===- Buckets.cpp - Going through a bucket of elimination ----------------===//

#include "Buckets.h"
#include "Kernels.h"
#include <algorithm>

using namespace tpc::solver;

size_t tpc::solver::numClasses(const Partition &partition) {
  return *std::max_element(partition->begin(), partition->end()) + 1;
}

/// The class of a partition by the class of a finer one.
static std::vector<size_t> coarsen(const Partition &fine,
                                   const Partition &coarse) {
  std::vector<size_t> result(numClasses(fine));
  for (size_t v = 0; v < fine->size(); ++v)
    result[(*fine)[v]] = (*coarse)[v];
  return result;
}

BucketLoop::BucketLoop(const std::vector<unsigned> &scope,
                       const std::vector<Partition> &partitions)
    : scope(scope), partitions(partitions), at(scope.size(), 0) {
  for (size_t i = 0; i + 1 < scope.size(); ++i) {
    sizes.push_back(numClasses(partitions[i]));
    outer *= sizes.back();
  }
  inner = numClasses(partitions.back());
}

void BucketLoop::add(const Factor &factor) {
  Operand operand{factor.table->data(), {}, {}};
  operand.offsets.resize(scope.size());
  operand.strides.resize(scope.size(), 0);
  size_t stride = 1;
  for (size_t i = factor.nodes.size(); i-- > 0;) {
    size_t position =
        std::find(scope.begin(), scope.end(), factor.nodes[i]) - scope.begin();
    operand.offsets[position] =
        coarsen(partitions[position], factor.partitions[i]);
    for (size_t &offset : operand.offsets[position])
      offset *= stride;
    operand.strides[position] = stride;
    stride *= numClasses(factor.partitions[i]);
  }
  for (size_t i = 0; i + 1 < scope.size(); ++i)
    if (!operand.offsets[i].empty())
      operand.at += operand.offsets[i][0];
  operands.push_back(std::move(operand));
  for (Operand &moved : operands)
    moved.inner =
        moved.offsets.back().empty() ? nullptr : moved.offsets.back().data();
}

void BucketLoop::sum(std::vector<Cost> &sums) const {
  std::fill(sums.begin(), sums.end(), 0);
  for (const Operand &operand : operands) {
    const Cost *table = operand.table + operand.at;
    for (size_t v = 0; v < inner; ++v) {
      Cost cost = table[operand.inner ? operand.inner[v] : 0];
      sums[v] = cost >= kForbidden || sums[v] >= kForbidden ? kForbidden
                                                            : sums[v] + cost;
    }
  }
}

void BucketLoop::next() {
  for (size_t i = sizes.size(); i-- > 0;) { // counts like an odometer
    size_t following = at[i] + 1 < sizes[i] ? at[i] + 1 : 0;
    for (Operand &operand : operands)
      if (!operand.offsets[i].empty())
        operand.at += operand.offsets[i][following] - operand.offsets[i][at[i]];
    at[i] = following;
    if (following)
      break;
  }
}

namespace {

/// The least sum over the bucket's node at every place of a BucketLoop. What
/// operands without the last positions add up to is kept while those go round:
///
///   for i: sums[0] = rows of i           operands {i, v}
///     for j: sums[1] = sums[0] + ...     operands {j, v}, {i, j, v}
///       for k: best = min over v of sums[1] + ...
///
class BucketMinimum {
public:
  explicit BucketMinimum(const BucketLoop &loop)
      : sizes(loop.sizes), inner(loop.inner), levels(sizes.size() + 1),
        moving(sizes.size()) {
    for (const BucketLoop::Operand &operand : loop.operands)
      add(operand);
    for (std::vector<Rows> &operands : levels)
      for (Rows &rows : operands)
        for (size_t i = 0; i < sizes.size(); ++i)
          if (!rows.begins[i].empty())
            moving[i].push_back(&rows);
  }

  std::vector<Cost> run(size_t entries) {
    best.reserve(entries);
    std::vector<Cost> none(inner, 0);
    visit(0, none, 0);
    return std::move(best);
  }

private:
  /// Above all sums of finite costs, and so small that many of them add up.
  static constexpr Cost bar = Cost(1) << 57;
  static constexpr size_t maxRows = 16;

  /// An operand at the level of its last position: its rows over the bucket's
  /// node, or single costs where it has no such node.
  struct Rows {
    std::vector<Cost> values;
    size_t length;
    /// By position: by class, where its rows begin; empty where it has none.
    std::vector<std::vector<size_t>> begins;
    size_t at = 0;
  };

  void add(const BucketLoop::Operand &operand) {
    Rows rows;
    rows.length = operand.offsets.back().empty() ? 1 : inner;
    rows.begins.resize(sizes.size());
    // Where the rows are in the operand's table.
    std::vector<size_t> places{0};
    size_t level = 0, stride = rows.length;
    for (size_t i = sizes.size(); i-- > 0;) {
      const std::vector<size_t> &offsets = operand.offsets[i];
      if (offsets.empty())
        continue;
      level = std::max(level, i + 1);
      size_t distance = operand.strides[i];
      size_t count =
          *std::max_element(offsets.begin(), offsets.end()) / distance + 1;
      for (size_t offset : offsets)
        rows.begins[i].push_back(offset / distance * stride);
      stride *= count;
      std::vector<size_t> more;
      for (size_t c = 0; c < count; ++c)
        for (size_t place : places)
          more.push_back(place + c * distance);
      places = std::move(more);
    }
    rows.values.reserve(places.size() * rows.length);
    for (size_t place : places)
      for (size_t v = 0; v < rows.length; ++v) {
        size_t own = rows.length == 1 ? 0 : operand.offsets.back()[v];
        rows.values.push_back(std::min(operand.table[place + own], bar));
      }
    levels[level].push_back(std::move(rows));
  }

  /// Goes through the positions from `level` on; `before` is what operands of
  /// earlier positions add up to, `constant` included.
  void visit(size_t level, const std::vector<Cost> &before, Cost constant) {
    if (level == sizes.size()) {
      best.push_back(finish(levels[level], before, constant));
      return;
    }
    std::vector<Cost> sums = before;
    for (const Rows &rows : levels[level])
      addRow(rows, sums, constant);
    for (size_t i = 0; i < sizes[level]; ++i) {
      for (Rows *rows : moving[level])
        rows->at += rows->begins[level][i];
      visit(level + 1, sums, constant);
      for (Rows *rows : moving[level])
        rows->at -= rows->begins[level][i];
    }
  }

  void addRow(const Rows &rows, std::vector<Cost> &sums, Cost &constant) const {
    const Cost *row = rows.values.data() + rows.at;
    if (rows.length == 1 && inner != 1) {
      constant = std::min(constant + *row, bar);
      return;
    }
    for (size_t v = 0; v < inner; ++v)
      sums[v] = std::min(sums[v] + row[v], bar);
  }

  Cost finish(const std::vector<Rows> &operands,
              const std::vector<Cost> &before, Cost constant) {
    const Cost *rows[maxRows];
    size_t count = 0;
    const std::vector<Cost> *base = &before;
    for (const Rows &operand : operands) {
      const Cost *row = operand.values.data() + operand.at;
      if (operand.length == 1 && inner != 1) {
        constant = std::min(constant + *row, bar);
      } else if (count < maxRows) {
        rows[count++] = row;
      } else {
        if (base == &before)
          spill = before;
        addRow(operand, spill, constant);
        base = &spill;
      }
    }
    Cost least = leastSum(base->data(), rows, count, inner);
    return least + constant >= bar / 2 ? kForbidden : least + constant;
  }

  const std::vector<size_t> &sizes;
  size_t inner;
  /// Operands by the number of positions up to their last.
  std::vector<std::vector<Rows>> levels;
  /// By position: the operands that have it.
  std::vector<std::vector<Rows *>> moving;
  std::vector<Cost> best, spill;
};

} // namespace

std::vector<Cost> tpc::solver::leastSums(const BucketLoop &loop) {
  return BucketMinimum(loop).run(loop.outer);
}
