//===- ReshardCostTest.cpp - Reshard plans are cheapest -------------------===//
//
// The planner searches over the moves that it knows. Here every single step
// between two shardings is found without them: each operation of the spmd
// dialect is applied to element numbers on simulated devices, over every list
// of axes and every dimension, and whatever sharding the devices then hold is a
// step. All-pairs shortest paths over these steps bound the planner's cost from
// below, under the same prices.
//
// Contributions to a partial value are numbered. A device holds cells (element
// numbers, -1 is padding) of one contribution; a group of devices holds a value
// when it has all its contributions.
//
//===----------------------------------------------------------------------===//

#include "Shardings.h"
#include "TestModule.h"
#include "tpc/Sharding/ReshardPlanner.h"
#include <gtest/gtest.h>
#include <numeric>
#include <set>

using namespace tpc;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace {

/// A row-major matrix of element numbers.
struct Cells {
  int64_t rows = 0, columns = 0;
  std::vector<int64_t> data;

  Cells(int64_t rows, int64_t columns)
      : rows(rows), columns(columns), data(rows * columns, -1) {}
  int64_t &at(int64_t r, int64_t c) { return data[r * columns + c]; }
  int64_t get(int64_t r, int64_t c) const {
    return r < rows && c < columns ? data[r * columns + c] : -1;
  }
  int64_t size(unsigned dim) const { return dim ? columns : rows; }
  bool operator==(const Cells &o) const {
    return rows == o.rows && columns == o.columns && data == o.data;
  }
};

/// `rows` x `columns` cells of `from`, starting at `start` along `dim`.
Cells window(const Cells &from, unsigned dim, int64_t start, int64_t rows,
             int64_t columns) {
  Cells to(rows, columns);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c)
      to.at(r, c) = from.get(dim ? r : r + start, dim ? c + start : c);
  return to;
}

/// What every device holds.
struct Layout {
  std::vector<Cells> cells;
  std::vector<int64_t> contribution;
  int64_t contributions = 1;
};

class ReshardSteps {
public:
  ReshardSteps(ArrayRef<int64_t> shape, int64_t elementBytes, const Mesh &mesh,
               ArrayRef<AxisRef> parts)
      : shape(shape), elementBytes(elementBytes), mesh(mesh),
        nodes(test::allShardings(shape, mesh, parts, {Reduction::Sum})) {
    for (const Sharding &node : nodes)
      layouts.push_back(layoutOf(node));
    AxisList units = mesh.axes();
    units.append(parts.begin(), parts.end());
    listAxes(units, {});
    cost.assign(nodes.size(), std::vector<double>(nodes.size(), 1e30));
    for (size_t s = 0; s < nodes.size(); ++s)
      for (size_t t = 0; t < nodes.size(); ++t)
        addSteps(s, t);
    for (size_t k = 0; k < nodes.size(); ++k)
      for (size_t s = 0; s < nodes.size(); ++s)
        for (size_t t = 0; t < nodes.size(); ++t)
          cost[s][t] = std::min(cost[s][t], cost[s][k] + cost[k][t]);
  }

  double between(const Sharding &from, const Sharding &to) const {
    auto index = [&](const Sharding &node) {
      return llvm::find(nodes, node) - nodes.begin();
    };
    return cost[index(from)][index(to)];
  }

  ArrayRef<int64_t> shape;
  int64_t elementBytes;
  const Mesh &mesh;
  std::vector<Sharding> nodes;

private:
  Layout layoutOf(const Sharding &sharding) {
    Layout layout;
    AxisList partial;
    for (const PartialAxis &p : sharding.partial)
      partial.push_back(p.axis);
    layout.contributions = mesh.size(partial);
    auto local = localShape(shape, sharding, mesh);
    for (int64_t device = 0; device < mesh.numDevices(); ++device) {
      DimBlock rows = blockOf(shape[0], sharding.dims[0], mesh, device);
      DimBlock columns = blockOf(shape[1], sharding.dims[1], mesh, device);
      Cells &cells = layout.cells.emplace_back(local[0], local[1]);
      for (int64_t r = 0; r < rows.valid; ++r)
        for (int64_t c = 0; c < columns.valid; ++c)
          cells.at(r, c) = (rows.start + r) * shape[1] + columns.start + c;
      layout.contribution.push_back(mesh.coordinate(device, partial));
    }
    return layout;
  }

  /// Every list of axes that do not overlap.
  void listAxes(ArrayRef<AxisRef> units, AxisList list) {
    if (!list.empty())
      axisLists.push_back(list);
    for (const AxisRef &unit : units) {
      if (llvm::any_of(list, [&](auto &o) { return o.overlaps(unit); }))
        continue;
      AxisList longer = list;
      longer.push_back(unit);
      listAxes(units, longer);
    }
  }

  /// Whether `layout` is what node `t` means. Padding may hold anything.
  bool is(const Layout &layout, size_t t) {
    const Layout &wanted = layouts[t];
    if (layout.contributions != wanted.contributions)
      return false;
    AxisList partial;
    for (const PartialAxis &p : nodes[t].partial)
      partial.push_back(p.axis);
    for (size_t d = 0; d < layout.cells.size(); ++d) {
      const Cells &found = layout.cells[d], &cells = wanted.cells[d];
      if (found.rows != cells.rows || found.columns != cells.columns)
        return false;
      for (size_t i = 0; i < cells.data.size(); ++i)
        if (cells.data[i] >= 0 && found.data[i] != cells.data[i])
          return false;
      std::set<int64_t> all;
      for (int64_t member : mesh.group(d, partial))
        all.insert(layout.contribution[member]);
      if (static_cast<int64_t>(all.size()) != layout.contributions)
        return false;
    }
    return true;
  }

  void add(size_t s, size_t t, const std::optional<Layout> &layout,
           double micros) {
    if (layout && micros < cost[s][t] && is(*layout, t))
      cost[s][t] = micros;
  }

  void addSteps(size_t s, size_t t) {
    if (s == t) {
      cost[s][t] = 0;
      return;
    }
    const Layout &from = layouts[s];
    const Cells &to = layouts[t].cells[0];
    double bytes = double(elementBytes) * from.cells[0].data.size();
    double toBytes = double(elementBytes) * to.data.size();
    auto price = [&](CollectiveKind kind, double b, ArrayRef<AxisRef> axes) {
      return costs.collectiveMicros(kind, b, axes);
    };
    auto copied = [&](double b) { return costs.copyMicros(b); };
    for (const AxisList &axes : axisLists) {
      auto reduced = reduce(from, axes);
      add(s, t, reduced, price(CollectiveKind::AllReduce, bytes, axes));
      add(s, t, toPartial(from, axes), copied(bytes));
      for (unsigned dim = 0; dim < 2; ++dim) {
        add(s, t, slice(from, dim, axes, to), copied(toBytes));
        if (reduced)
          add(s, t, slice(*reduced, dim, axes, to),
              price(CollectiveKind::ReduceScatter, bytes, axes));
        add(s, t, gather(from, dim, axes, to.size(dim)),
            price(CollectiveKind::AllGather, toBytes, axes));
        int64_t members = mesh.size(axes);
        int64_t block = from.cells[0].size(dim);
        for (int64_t size = block * (members - 1) + 1; size <= block * members;
             ++size)
          if (to.size(dim) == size)
            if (auto gathered = gather(from, dim, axes, size))
              add(s, t, slice(*gathered, 1 - dim, axes, to),
                  price(CollectiveKind::AllToAll, std::max(bytes, toBytes),
                        axes));
      }
    }
    addPermutations(
        s, t,
        costs.collectiveMicros(CollectiveKind::Permute, bytes, mesh.axes()));
  }

  void addPermutations(size_t s, size_t t, double micros) {
    const Layout &from = layouts[s];
    std::vector<int64_t> source(mesh.numDevices());
    std::iota(source.begin(), source.end(), 0);
    do {
      Layout moved{{}, {}, from.contributions};
      for (int64_t device : source) {
        moved.cells.push_back(from.cells[device]);
        moved.contribution.push_back(from.contribution[device]);
      }
      add(s, t, moved, micros);
    } while (std::next_permutation(source.begin(), source.end()));
  }

  //===--------------------------------------------------------------------===//
  // What operations do to layouts
  //===--------------------------------------------------------------------===//

  /// The groups must combine different contributions of the same cells, and
  /// everywhere the same ones.
  std::optional<Layout> reduce(const Layout &from, ArrayRef<AxisRef> axes) {
    if (from.contributions % mesh.size(axes) != 0)
      return std::nullopt;
    Layout to = from;
    std::set<std::set<int64_t>> combinations;
    std::vector<std::set<int64_t>> own;
    for (int64_t d = 0; d < mesh.numDevices(); ++d) {
      std::set<int64_t> set;
      for (int64_t member : mesh.group(d, axes)) {
        set.insert(from.contribution[member]);
        if (!(from.cells[member] == from.cells[d]))
          return std::nullopt;
      }
      if (static_cast<int64_t>(set.size()) != mesh.size(axes))
        return std::nullopt;
      combinations.insert(set);
      own.push_back(set);
    }
    to.contributions = from.contributions / mesh.size(axes);
    if (static_cast<int64_t>(combinations.size()) != to.contributions)
      return std::nullopt; // they overlap
    for (size_t d = 0; d < own.size(); ++d)
      to.contribution[d] =
          std::distance(combinations.begin(), combinations.find(own[d]));
    return to;
  }

  std::optional<Layout> toPartial(const Layout &from, ArrayRef<AxisRef> axes) {
    Layout to = from;
    to.contributions *= mesh.size(axes);
    for (int64_t d = 0; d < mesh.numDevices(); ++d)
      to.contribution[d] =
          to.contribution[d] * mesh.size(axes) + mesh.coordinate(d, axes);
    return to;
  }

  std::optional<Layout> slice(const Layout &from, unsigned dim,
                              ArrayRef<AxisRef> axes, const Cells &like) {
    if (ceilDiv(from.cells[0].size(dim), mesh.size(axes)) != like.size(dim) ||
        from.cells[0].size(1 - dim) != like.size(1 - dim))
      return std::nullopt;
    Layout to = from;
    for (int64_t d = 0; d < mesh.numDevices(); ++d)
      to.cells[d] =
          window(from.cells[d], dim, mesh.coordinate(d, axes) * like.size(dim),
                 like.rows, like.columns);
    return to;
  }

  /// Members must hold the same contribution.
  std::optional<Layout> gather(const Layout &from, unsigned dim,
                               ArrayRef<AxisRef> axes, int64_t size) {
    int64_t block = from.cells[0].size(dim);
    if (ceilDiv(size, mesh.size(axes)) != block)
      return std::nullopt;
    Layout to = from;
    for (int64_t d = 0; d < mesh.numDevices(); ++d) {
      const Cells &own = from.cells[d];
      to.cells[d] = Cells(dim ? own.rows : size, dim ? size : own.columns);
      for (auto [position, member] : llvm::enumerate(mesh.group(d, axes))) {
        if (from.contribution[member] != from.contribution[d])
          return std::nullopt;
        const Cells &part = from.cells[member];
        int64_t start = position * block;
        for (int64_t r = 0; r < part.rows; ++r)
          for (int64_t c = 0; c < part.columns; ++c)
            if ((dim ? c : r) + start < size)
              to.cells[d].at(dim ? r : r + start, dim ? c + start : c) =
                  part.get(r, c);
      }
    }
    return to;
  }

  CostModel costs{*findMachine("h100"), mesh};
  std::vector<Layout> layouts;
  std::vector<AxisList> axisLists;
  std::vector<std::vector<double>> cost;
};

bool usesParts(const Sharding &sharding) {
  auto isPart = [](const AxisRef &axis) { return !axis.isWhole(); };
  return llvm::any_of(sharding.dims,
                      [&](const AxisList &axes) {
                        return llvm::any_of(axes, isPart);
                      }) ||
         llvm::any_of(sharding.partial,
                      [&](const PartialAxis &p) { return isPart(p.axis); });
}

/// Between shardings that use axes whole, steps are over whole axes: the
/// planner does not take an axis apart that nobody cuts.
void comparePlanner(const char *meshText, bool halves, ArrayRef<int64_t> shape,
                    int64_t elementBytes = 4) {
  auto module = test::emptyModule(meshText);
  Mesh mesh = *lookupMesh(*module);
  AxisList parts;
  if (halves)
    parts = {{mesh.names[0], 1, 2}, {mesh.names[0], 2, 2}};
  ReshardSteps steps(shape, elementBytes, mesh, parts);
  ReshardSteps wholeSteps(shape, elementBytes, mesh, {});
  CostModel costs(*findMachine("h100"), mesh);
  // The time alone, asked for before and after plans of the same graph.
  ReshardPlanner planner(costs);
  unsigned wrong = 0, pairs = 0;
  for (const Sharding &from : steps.nodes)
    for (const Sharding &to : steps.nodes) {
      double least = usesParts(from) || usesParts(to)
                         ? steps.between(from, to)
                         : wholeSteps.between(from, to);
      double planned = planReshard(from, to, shape, elementBytes, costs).micros;
      EXPECT_EQ(planner.micros(from, to, shape, elementBytes), planned);
      if (pairs++ % 3 == 0)
        EXPECT_EQ(planner.plan(from, to, shape, elementBytes).micros, planned);
      if (planned > least + 1e-9 && ++wrong <= 20)
        ADD_FAILURE() << toString(from) << " -> " << toString(to) << " costs "
                      << planned << " us, possible are " << least;
    }
  EXPECT_EQ(wrong, 0u) << "of " << pairs;
}

TEST(ReshardCost, TwoDevices) { comparePlanner("a=2", false, {4, 6}); }
TEST(ReshardCost, TwoDevicesLarge) {
  comparePlanner("a=2", false, {4, 6}, 1 << 20);
}
TEST(ReshardCost, TwoDevicesUneven) { comparePlanner("a=2", false, {5, 3}); }
TEST(ReshardCost, TwoAxes) { comparePlanner("a=2,b=2", false, {4, 8}); }
TEST(ReshardCost, TwoAxesLarge) {
  comparePlanner("a=2,b=2", false, {4, 8}, 1 << 20);
}
TEST(ReshardCost, TwoAxesUneven) { comparePlanner("a=2,b=2", false, {6, 5}); }
TEST(ReshardCost, TwoAxesUnevenLarge) {
  comparePlanner("a=2,b=2", false, {6, 5}, 1 << 20);
}
TEST(ReshardCost, Parts) { comparePlanner("a=4", true, {4, 8}); }
TEST(ReshardCost, PartsLarge) { comparePlanner("a=4", true, {4, 8}, 1 << 20); }
TEST(ReshardCost, PartsUneven) { comparePlanner("a=4", true, {6, 5}); }
TEST(ReshardCost, PartsUnevenLarge) {
  comparePlanner("a=4", true, {6, 5}, 1 << 20);
}

} // namespace
