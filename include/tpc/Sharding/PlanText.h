//===- PlanText.h - A plan that is to be followed ---------------*- C++ -*-===//

#ifndef TPC_SHARDING_PLANTEXT_H
#define TPC_SHARDING_PLANTEXT_H

#include <string>

namespace tpc {

/// What stands in a plan file: tpc/Sharding/PlanFile.h.
struct PlanText {
  std::string name; ///< for messages: the file
  std::string text;
};

} // namespace tpc

#endif // TPC_SHARDING_PLANTEXT_H
