//===- ShardingProblemEdges.cpp - What a choice means for others ----------===//
//
// Edges between the nodes of operations that are tied, and between those that
// make a value and those that use it, with the nodes of the copies between
// them; and how long values and copies live.
//
//===----------------------------------------------------------------------===//

#include "ShardingProblemParts.h"

using namespace mlir;
using namespace tpc;
using solver::Cost;
using solver::CostTable;
using solver::kForbidden;

//===----------------------------------------------------------------------===//
// Ties
//===----------------------------------------------------------------------===//

void ShardingProblem::addTie(const Tie &tie) {
  const auto &first = space.of(tie.first), &second = space.of(tie.second);
  std::vector<unsigned> ofFirst = valuesOf(tie.first),
                        ofSecond = valuesOf(tie.second);
  CostTable &table =
      tables->ties[{tie.kind, &first, &second, ofFirst, ofSecond}];
  if (!table) {
    std::vector<Cost> costs;
    auto isAgain = [&](Operation *op, unsigned value) {
      return makers.find(op->getResult(0))->second.port->isAgain(value);
    };
    for (auto [i, a] : llvm::enumerate(ofFirst))
      for (auto [j, b] : llvm::enumerate(ofSecond)) {
        bool alike = tie.kind != Tie::Sibling ||
                     isAgain(tie.first, i) == isAgain(tie.second, j);
        costs.push_back(
            alike && areTied(tie, first[a].shardings, second[b].shardings)
                ? 0
                : kForbidden);
      }
    table = std::make_shared<std::vector<Cost>>(std::move(costs));
  }
  auto nodeOf = [&](Operation *op) {
    return makers.find(op->getResult(0))->second.node;
  };
  addEdge(nodeOf(tie.first), nodeOf(tie.second), table);
}

/// Whether a value takes memory of its own, in the sharding in which it is
/// held: not if it is stored, or only replaces a state in place. What can be
/// made anywhere takes memory where it is wanted.
static bool takesMemory(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op || isa<ReadOp>(op) || isMadeAnywhere(op))
    return false;
  return value.use_empty() || !llvm::all_of(value.getUsers(), [](Operation *o) {
           return isa<WriteOp>(o);
         });
}

/// Whether a value is not resharded, because that is never cheaper than before
/// the operation that makes it or after the one that uses it: both compute
/// elements from elements, and what comes after takes no more bytes.
bool ShardingProblem::staysAsItIs(Value value) {
  Operation *maker = value.getDefiningOp();
  if (!maker || !value.hasOneUse() || isMadeAnywhere(maker))
    return false;
  Operation *user = *value.user_begin();
  return space.isPointwise(maker) && space.isPointwise(user) &&
         elementBytes(getElementTypeOrSelf(user->getResult(0))) <=
             elementBytes(getElementTypeOrSelf(value));
}

//===----------------------------------------------------------------------===//
// Lives
//===----------------------------------------------------------------------===//

ShardingProblem::Reads ShardingProblem::readsOf(Value value,
                                                ArrayRef<User> users) const {
  Reads reads;
  if (!recomputation) {
    for (const User &user : users)
      Reads::add(reads.before, user.time);
    return reads;
  }
  int64_t boundary = functionBegin + recomputation->boundary();
  for (const User &user : users)
    Reads::add(user.time < boundary ? reads.before : reads.behind, user.time);
  for (int64_t when : recomputation->readAgain(value))
    Reads::add(reads.again, functionBegin + when);
  reads.isThere = recomputation->isRead(value);
  return reads;
}

/// From `begin` to the last who reads what is kept.
solver::Interval ShardingProblem::Reads::kept(int64_t begin) const {
  int64_t last = begin;
  for (const auto &span : {before, behind})
    if (span)
      last = std::max(last, span->last);
  if (isThere && again)
    last = std::max(last, again->last);
  return {begin, last + 1};
}

/// Of what is made for gradients only.
solver::Interval ShardingProblem::Reads::backward() const {
  std::optional<Span> span = behind;
  if (again) {
    add(span, again->first);
    add(span, again->last);
  }
  return span ? solver::Interval{span->first, span->last + 1}
              : solver::Interval();
}

void ShardingProblem::addValueMemory(Value value, const Maker &maker,
                                     const Reads &reads) {
  if (!withMemory || !takesMemory(value))
    return;
  int64_t begin = times.lookup(value.getDefiningOp());
  addMemory(maker.node, maker.port, reads.kept(begin), IfKept);
  if (maker.port->firstAgain == ~0u)
    return;
  if (nodes[maker.node].isKept) {
    Reads kept = reads;
    kept.isThere = true;
    addMemory(maker.node, maker.port, kept.kept(begin), IfComputedAgain);
    return;
  }
  // Where nobody else reads it, it is made for gradients in the first place.
  if (reads.before)
    addMemory(maker.node, maker.port, {begin, reads.before->last + 1},
              IfComputedAgain);
  addMemory(maker.node, maker.port, reads.backward(), IfComputedAgain);
}

/// An operation is computed again only where its operands are: kept, or
/// computed again, too, and not later.
void ShardingProblem::addAgain(Operation *op, unsigned node) {
  for (auto [operand, wants] :
       llvm::zip_equal(op->getOperands(), nodes[node].wants)) {
    const Maker maker = makers.find(operand)->second;
    if (maker.port->firstAgain == ~0u)
      continue;
    bool whereKept = recomputation->isRead(operand),
         whereAgain = nodes[maker.node].isKept ||
                      recomputation->isInTime(operand.getDefiningOp(), op);
    // What is read by nothing else is computed again for this or not at all.
    bool alone = !whereKept && operand.hasOneUse();
    CostTable &table =
        tables->again[{maker.port, wants, whereKept, whereAgain, alone}];
    if (!table) {
      std::vector<Cost> costs;
      for (unsigned made = 0; made < maker.port->shardings.size(); ++made)
        for (unsigned read = 0; read < wants->shardings.size(); ++read)
          costs.push_back(
              (wants->isAgain(read)
                   ? (maker.port->isAgain(made) ? whereAgain : whereKept)
                   : !(alone && maker.port->isAgain(made)))
                  ? 0
                  : kForbidden);
      table = std::make_shared<std::vector<Cost>>(std::move(costs));
    }
    addEdge(maker.node, node, table);
  }
}

//===----------------------------------------------------------------------===//
// Reshards
//===----------------------------------------------------------------------===//

void ShardingProblem::addUses(Value value, ArrayRef<User> users) {
  const Maker maker = makers.find(value)->second;
  const Reads reads = readsOf(value, users);
  addValueMemory(value, maker, reads);
  if (staysAsItIs(value)) {
    addEdge(maker.node, users[0].node, equalTable(maker.port, users[0].port));
    return;
  }
  // Elementwise operations read a value in one sharding.
  const User *first = nullptr;
  for (const User &user : users) {
    const NodeInfo &node = nodes[user.node];
    if (node.kind != NodeInfo::Op || !space.isPointwise(node.op))
      continue;
    if (!first)
      first = &user;
    else if (first->node != user.node)
      addEdge(first->node, user.node, equalTable(first->port, user.port));
  }
  if (users.size() > kManyUsers)
    for (const User &user : users) {
      if (user.node == maker.node) // a state that is written as it was read
        continue;
      addEdge(maker.node, user.node,
              reshardTable(maker.port, user.port, users.size()));
      addCrossing(value, maker, user.port);
    }
  else if (users.size() > 1)
    addCopies(maker, users, value, reads);
  else if (users.size() == 1 && withMemory)
    addSingleCopy(maker, users[0], value, reads);
  else if (users.size() == 1 && users[0].node != maker.node) {
    addEdge(maker.node, users[0].node, reshardTable(maker.port, users[0].port));
    addCrossing(value, maker, users[0].port);
  }
}

/// The last edge prices reshards of `value`.
void ShardingProblem::addCrossing(Value value, const Maker &maker,
                                  const Port *to, unsigned target) {
  crossings[value].push_back(
      {unsigned(built.edges.size() - 1), maker.port, to, target});
}

double ShardingProblem::micros(const Port *from, unsigned held,
                               unsigned wanted) {
  if (from->isFree && !from->space->shardings[wanted].isPartial())
    return 0;
  return from->space->between(held, wanted, planner);
}

CostTable ShardingProblem::equalTable(const Port *from, const Port *to) {
  CostTable &table = tables->equal[{from, to}];
  if (table)
    return table;
  std::vector<Cost> costs;
  for (unsigned held : from->shardings)
    for (unsigned wanted : to->shardings)
      costs.push_back(held == wanted ? 0 : kForbidden);
  return table = std::make_shared<std::vector<Cost>>(std::move(costs));
}

CostTable ShardingProblem::reshardTable(const Port *from, const Port *to,
                                        size_t shares) {
  CostTable &table = tables->reshards[{from, to, weight, shares}];
  if (table)
    return table;
  std::vector<Cost> costs;
  costs.reserve(from->shardings.size() * to->shardings.size());
  for (unsigned held : from->shardings)
    for (unsigned wanted : to->shardings)
      costs.push_back(toCost(micros(from, held, wanted)) / Cost(shares));
  return table = std::make_shared<std::vector<Cost>>(std::move(costs));
}

/// Values of a (value, target) node: 0 not made, 1 made. With memory "made" is
/// taken apart: 1 the value itself, which is held so, 2 a copy, 3 a copy and
/// another for gradients.
void ShardingProblem::addCopies(const Maker &maker, ArrayRef<User> users,
                                Value value, const Reads &reads) {
  SmallVector<const Port *> ports;
  for (const User &user : users)
    ports.push_back(user.port);
  bool isFree = maker.port->isFree;
  bool mayBeTwice =
      withMemory && !isFree && reads.before && (reads.behind || reads.again);
  unsigned kinds = !withMemory ? 2 : mayBeTwice ? 4 : 3;
  // Who reads one copy for all may be computed again from it.
  bool isThere = isFree || reads.behind;
  // What is made anywhere may stay where it was made.
  int64_t begin =
      isFree ? times.lookup(value.getDefiningOp()) : users.front().time;
  auto price = [&](unsigned kind, unsigned row, unsigned target) -> Cost {
    if (kind == 0)
      return 0;
    Cost once = toCost(micros(maker.port, maker.port->shardings[row], target));
    if (!withMemory)
      return once;
    bool same = maker.port->shardings[row] == target && !isFree;
    if (same || kind == 1)
      return same && kind == 1 ? 0 : kForbidden;
    bool again = maker.port->isAgain(row);
    if (kind == 2) // gradients read what is made again
      return again && reads.before && reads.behind ? kForbidden : once;
    return again || reads.isThere ? 2 * once : kForbidden;
  };
  for (unsigned target : distinctTargets(ports)) {
    NodeInfo info{NodeInfo::Copy, nullptr, value, target};
    unsigned node = addNode(std::move(info), std::vector<Cost>(kinds, 0));
    int64_t bytes = maker.port->space->localBytes[target];
    auto addLife = [&](solver::Interval live, unsigned kind) {
      std::vector<int64_t> taken(kinds, 0);
      taken[kind] = bytes;
      built.nodes[node].memory.push_back({live, std::move(taken)});
    };
    if (withMemory) {
      Reads shared = reads;
      shared.isThere = isThere;
      addLife(shared.kept(begin), 2);
    }
    if (mayBeTwice) {
      addLife({begin, reads.before->last + 1}, 3);
      addLife(reads.backward(), 3);
    }
    CostTable &making =
        tables->making[{maker.port, target, weight, kinds,
                        reads.before && reads.behind, reads.isThere}];
    if (!making) {
      std::vector<Cost> costs;
      for (unsigned row = 0; row < maker.port->shardings.size(); ++row)
        for (unsigned kind = 0; kind < kinds; ++kind)
          costs.push_back(price(kind, row, target));
      making = std::make_shared<std::vector<Cost>>(std::move(costs));
    }
    addEdge(maker.node, node, making);
    addCrossing(value, maker, nullptr, target);
    for (const User &user : users) {
      if (!llvm::is_contained(user.port->shardings, target))
        continue;
      CostTable &needing = tables->needing[{user.port, target, kinds, isThere}];
      if (!needing) {
        std::vector<Cost> costs;
        for (unsigned row = 0; row < user.port->shardings.size(); ++row)
          for (unsigned kind = 0; kind < kinds; ++kind) {
            bool isMade =
                kind != 0 && (kind != 2 || isThere || !user.port->isAgain(row));
            bool wanted = user.port->shardings[row] == target;
            costs.push_back(wanted && !isMade ? kForbidden : 0);
          }
        needing = std::make_shared<std::vector<Cost>>(std::move(costs));
      }
      addEdge(user.node, node, needing);
    }
  }
}

/// By target the user takes, in this order, the value itself or a copy, or a
/// copy and another to be computed again from.
void ShardingProblem::addSingleCopy(const Maker &maker, const User &user,
                                    Value value, const Reads &reads) {
  std::vector<unsigned> targets =
      distinctTargets(ArrayRef<const Port *>(user.port));
  bool isFree = maker.port->isFree;
  unsigned ways = reads.again && !isFree ? 3 : 2;
  NodeInfo info{NodeInfo::Copy, nullptr, value, kSingleCopy};
  info.wants.push_back(user.port);
  unsigned node =
      addNode(std::move(info), std::vector<Cost>(ways * targets.size(), 0));
  auto addLife = [&](solver::Interval live, unsigned firstWay) {
    solver::MemoryUse memory{live, {}};
    for (unsigned target : targets)
      for (unsigned way = 0; way < ways; ++way)
        memory.bytes.push_back(
            way >= firstWay ? maker.port->space->localBytes[target] : 0);
    built.nodes[node].memory.push_back(std::move(memory));
  };
  int64_t begin = isFree ? times.lookup(value.getDefiningOp()) : user.time;
  addLife({begin, user.time + 1}, 1);
  if (ways == 3)
    addLife({reads.again->first, reads.again->last + 1}, 2);
  CostTable &copying = tables->copying[{maker.port, user.port, weight, ways}];
  if (!copying) {
    std::vector<Cost> costs;
    for (unsigned held : maker.port->shardings)
      for (unsigned target : targets) {
        Cost once = toCost(micros(maker.port, held, target));
        bool same = held == target && !isFree;
        costs.push_back(same ? 0 : kForbidden);
        for (unsigned way = 1; way < ways; ++way)
          costs.push_back(same ? kForbidden : way * once);
      }
    copying = std::make_shared<std::vector<Cost>>(std::move(costs));
  }
  addEdge(maker.node, node, copying);
  addCrossing(value, maker, user.port);
  CostTable &taking = tables->taking[{user.port, ways}];
  if (!taking) {
    std::vector<Cost> costs;
    for (unsigned target : targets)
      for (unsigned way = 0; way < ways; ++way)
        for (unsigned row = 0; row < user.port->shardings.size(); ++row) {
          bool fits =
              user.port->shardings[row] == target &&
              (way == 0 || ways == 2 || user.port->isAgain(row) == (way == 2));
          costs.push_back(fits ? 0 : kForbidden);
        }
    taking = std::make_shared<std::vector<Cost>>(std::move(costs));
  }
  addEdge(node, user.node, taking);
}
