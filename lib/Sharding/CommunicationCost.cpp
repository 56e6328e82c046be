//===- CommunicationCost.cpp - Predicted time of collectives --------------===//

#include "tpc/Sharding/CommunicationCost.h"

using namespace tpc;

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

double tpc::collectiveMicros(CollectiveKind kind, double bytes, int64_t members,
                             const LinkCost &link) {
  if (members == 1)
    return 0;
  double steps = members - 1;
  if (kind == CollectiveKind::AllReduce)
    steps *= 2;
  if (kind == CollectiveKind::Permute)
    steps = 1;
  return steps * link.stepMicros +
         sentBytes(kind, bytes, members) / link.bytesPerMicro;
}
