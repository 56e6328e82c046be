#include "executor/WholeGather.h"

using namespace tpcrt;

WholeGather WholeGather::plan(const PlacedTensor &tensor, const Mesh &mesh,
                              const DeviceDivision &division) {
  std::vector<AxisPart> axes;
  for (const auto &dim : tensor.placement)
    axes.insert(axes.end(), dim.begin(), dim.end());

  // For each process the first of its devices whose group is its own; all
  // processes come to the same conclusion.
  WholeGather result;
  uint64_t processes = mesh.numDevices() / division.perProcess;
  bool local = true;
  for (uint32_t rank = 0; rank < processes; ++rank) {
    bool found = false;
    for (uint64_t i = 0; i < division.perProcess && !found; ++i) {
      std::vector<uint64_t> group =
          groupOf(axes, mesh, rank * division.perProcess + i);
      found = std::ranges::all_of(
          group, [&](uint64_t d) { return division.rankOf(d) == rank; });
      if (found && rank == division.rank)
        result.holders = std::move(group);
    }
    local &= found;
  }
  if (local)
    return result;

  result.holders = groupOf(axes, mesh, division.first());
  CollectiveOp &op = result.operation.emplace();
  op.kind = CollectiveKind::AllGather;
  op.type = tensor.type;
  op.count = tensor.blockBytes() / byteSize(tensor.type);
  op.axes = std::move(axes);
  op.name = tensor.name;
  return result;
}

WholeGather WholeGather::plan(const PlacedTensor &tensor, const Mesh &mesh,
                              const DeviceDivision &division,
                              Communicator &communicator) {
  WholeGather result = plan(tensor, mesh, division);
  if (result.operation)
    result.collective = communicator.add(*result.operation);
  return result;
}
