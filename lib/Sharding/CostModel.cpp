//===- CostModel.cpp - Predicted times on a machine -----------------------===//

#include "tpc/Sharding/CostModel.h"
#include "tpc/Dialect/Spmd/Spmd.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cassert>
#include <cmath>
#include <limits>
#include <set>

using namespace mlir;
using namespace tpc;

std::optional<CollectiveKind> tpc::collectiveKind(Operation *op) {
  using Kind = std::optional<CollectiveKind>;
  return llvm::TypeSwitch<Operation *, Kind>(op)
      .Case([](spmd::AllReduceOp) { return CollectiveKind::AllReduce; })
      .Case([](spmd::AllGatherOp) { return CollectiveKind::AllGather; })
      .Case([](spmd::ReduceScatterOp) { return CollectiveKind::ReduceScatter; })
      .Case([](spmd::AllToAllOp) { return CollectiveKind::AllToAll; })
      .Case([](spmd::PermuteOp) { return CollectiveKind::Permute; })
      .Default([](Operation *) { return std::nullopt; });
}

double tpc::sentBytes(CollectiveKind kind, double bytes, int64_t members) {
  double n = members, others = n - 1;
  switch (kind) {
  case CollectiveKind::AllReduce:
    return 2 * bytes * others / n;
  case CollectiveKind::AllGather:
  case CollectiveKind::ReduceScatter:
  case CollectiveKind::AllToAll:
    return bytes * others / n;
  case CollectiveKind::Permute:
    return bytes;
  }
  return 0;
}

CostModel::CostModel(Machine machineIn, Mesh meshIn)
    : machine(std::move(machineIn)), mesh(std::move(meshIn)),
      sharing(machine.sharedByDevices ? mesh.numDevices() : 1) {
  assert(!machine.links.empty() && "a machine has at least one link");
}

const CostModel::Placement &CostModel::place(ArrayRef<AxisRef> axes) const {
  auto [it, fresh] = placements.try_emplace(AxisList(axes));
  if (fresh)
    it->second = findPlacement(axes);
  return it->second;
}

CostModel::Placement CostModel::findPlacement(ArrayRef<AxisRef> axes) const {
  // Groups are alike up to where they begin; the worst alignment counts.
  SmallVector<SmallVector<int64_t>> groups = mesh.groups(axes);
  return findPlacement(mesh.size(axes), [&](const Link &link) {
    size_t most = 1;
    for (const auto &group : groups) {
      std::set<int64_t> nodes;
      for (int64_t device : group)
        nodes.insert(link.devices == 0 ? 0 : device / link.devices);
      most = std::max(most, nodes.size());
    }
    return static_cast<int64_t>(most);
  });
}

CostModel::Placement CostModel::findPlacement(
    int64_t members, llvm::function_ref<int64_t(const Link &)> nodesOn) const {
  Placement placement;
  placement.members = members;
  // Readers make sure that the last link joins all devices.
  for (auto [i, link] : llvm::enumerate(machine.links)) {
    int64_t nodes = nodesOn(link);
    if (nodes == 1) {
      if (i == 0)
        placement.inner = 0;
      else
        placement.outer = i;
      return placement;
    }
    placement.inner = i;
    placement.nodes = nodes;
  }
  llvm_unreachable("the last link joins all devices");
}

/// Hops of a ring over `n` members, or of what stands for it.
static double hopsOf(LinkAlgorithm::Kind algorithm, CollectiveKind kind,
                     double n) {
  double rounds = kind == CollectiveKind::AllReduce ? 2 : 1;
  if (kind == CollectiveKind::Permute || algorithm == LinkAlgorithm::Switch)
    return 1;
  return algorithm == LinkAlgorithm::Tree ? rounds * std::ceil(std::log2(n))
                                          : rounds * (n - 1);
}

/// Whether the algorithm has this collective.
static bool supports(LinkAlgorithm::Kind algorithm, CollectiveKind kind) {
  switch (algorithm) {
  case LinkAlgorithm::Ring:
    return true;
  case LinkAlgorithm::Tree:
    return kind == CollectiveKind::AllReduce;
  case LinkAlgorithm::Switch:
    return kind == CollectiveKind::AllReduce ||
           kind == CollectiveKind::AllGather ||
           kind == CollectiveKind::ReduceScatter;
  }
  return false;
}

/// What carries out an outer link's algorithm inside the nodes: the protocol of
/// the same name, else the fastest of its kind, or null.
static const LinkAlgorithm *insideNodes(const Link &link,
                                        const LinkAlgorithm &outer) {
  const LinkAlgorithm *best = nullptr;
  for (const LinkAlgorithm &algorithm : link.algorithms) {
    if (algorithm.kind != outer.kind)
      continue;
    if (algorithm.name == outer.name)
      return &algorithm;
    if (!best || algorithm.bytesPerMicro > best->bytesPerMicro)
      best = &algorithm;
  }
  return best;
}

double CostModel::collectiveMicros(CollectiveKind kind, double bytes,
                                   ArrayRef<AxisRef> axes) const {
  return mesh.size(axes) == 1 ? 0 : collectiveMicros(kind, bytes, place(axes));
}

double CostModel::leastCollectiveMicros(CollectiveKind kind, double bytes,
                                        int64_t members) const {
  if (members == 1)
    return 0;
  // Members side by side, on as few nodes as hold them.
  auto nodesOn = [&](const Link &link) {
    return link.devices == 0 ? 1 : ceilDiv(members, link.devices);
  };
  return collectiveMicros(kind, bytes, findPlacement(members, nodesOn));
}

double CostModel::collectiveMicros(CollectiveKind kind, double bytes,
                                   const Placement &placement) const {
  double n = placement.members;
  const Link &link = machine.links[placement.outer.value_or(placement.inner)];
  double best = std::numeric_limits<double>::infinity();
  for (const LinkAlgorithm &algorithm : link.algorithms) {
    if (!supports(algorithm.kind, kind))
      continue;
    double sent = algorithm.kind == LinkAlgorithm::Switch
                      ? bytes
                      : sentBytes(kind, bytes, n);
    double bandwidth = algorithm.bytesPerMicro / sharing;
    double hops = hopsOf(algorithm.kind, kind, n);
    double latency = hops * algorithm.hopMicros;
    if (placement.outer) {
      // Hops inside the nodes are cheaper; the node's links are shared by
      // none but its members.
      double outer = hopsOf(algorithm.kind, kind, placement.nodes);
      const LinkAlgorithm *inner =
          insideNodes(machine.links[placement.inner], algorithm);
      if (inner) {
        latency =
            outer * algorithm.hopMicros + (hops - outer) * inner->hopMicros;
        // A ring leaves a node once, through the links of all its members; in
        // a permute each member sends through its own.
        double ways = kind == CollectiveKind::Permute ? 1 : n / placement.nodes;
        bandwidth = std::min(inner->bytesPerMicro / sharing, bandwidth * ways);
      }
    }
    best = std::min(best, algorithm.baseMicros + latency + sent / bandwidth);
  }
  return best;
}

bool CostModel::isFasterInOneLaunch(double bytes,
                                    ArrayRef<AxisRef> axes) const {
  Placement placement = place(axes);
  if (placement.members == 1 || placement.outer || machine.sharedByDevices)
    return false;
  LinkAlgorithm launch;
  launch.baseMicros = launch.hopMicros =
      std::numeric_limits<double>::infinity();
  for (const LinkAlgorithm &ring : machine.links[placement.inner].algorithms) {
    if (ring.kind != LinkAlgorithm::Ring)
      continue;
    launch.baseMicros = std::min(launch.baseMicros, ring.baseMicros);
    launch.hopMicros = std::min(launch.hopMicros, ring.hopMicros);
    launch.bytesPerMicro = std::max(launch.bytesPerMicro, ring.bytesPerMicro);
  }
  double read = (placement.members - 1) * bytes;
  return launch.baseMicros + launch.hopMicros + read / launch.bytesPerMicro <
         collectiveMicros(CollectiveKind::AllReduce, bytes, axes);
}

double CostModel::copyMicros(double bytes) const {
  return machine.operationMicros +
         2 * bytes * sharing / machine.memoryBytesPerMicro;
}

double CostModel::computeMicros(const Work &work) const {
  double rate = machine.flops16;
  if (work.type && work.type.isF32())
    rate = machine.flopsF32;
  if (work.type && work.type.isF64())
    rate = machine.flopsF64;
  double computing = work.flops / rate;
  double moving = work.bytes / machine.memoryBytesPerMicro;
  return machine.operationMicros + sharing * (machine.overlapsMemory
                                                  ? std::max(computing, moving)
                                                  : computing + moving);
}
