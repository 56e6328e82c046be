//===- Json.h - Problems as files -------------------------------*- C++ -*-===//
//
// Problems in the format of the IOPDDL contest, plain or gzipped:
//
//   {"problem": {"name": "two", "usage_limit": 100,
//                "nodes": {"costs": [[80, 20], [80, 25]],
//                          "intervals": [[0, 4], [2, 9]],
//                          "usages": [[64, 32], [64, 32]]},
//                "edges": {"nodes": [[0, 1]], "costs": [[0, 0, 30, 0]]}}}
//
// A number of 10^18 or more stands for infinity. Where a Problem holds more
// than that format, the format is extended; a problem without such parts is
// written as the contest's own readers expect it:
//
//   memory in other than one interval   "intervals": [[[0, 4], [6, 9]], ...],
//                                       "usages": [[[64, 32], [8, 8]], ...]
//                                       (no memory: [] and [])
//   an edge whose table others share    "costs": [..., 0, ...], an index into
//                                       "tables": [[0, 0, 30, 0]]
//   no limit on memory                  "usage_limit" is left out
//   the part that a node belongs to     "parts": [0, 1, -1, ...] beside
//   "costs";
//                                       -1: several parts share it
//
//===----------------------------------------------------------------------===//

#ifndef TPC_SHARDING_SOLVER_JSON_H
#define TPC_SHARDING_SOLVER_JSON_H

#include "tpc/Sharding/Solver/Problem.h"
#include <string_view>

namespace tpc::solver {

/// A problem that passes Problem::check(), or nothing and an error that says
/// what was expected, what was found and where. Equal tables of edges are held
/// once.
std::optional<Problem> parseProblem(std::string_view json, std::string &error);

/// Reads a file, gzipped or not, of at most 2 GiB when unpacked.
std::optional<Problem> readProblem(const std::string &path, std::string &error);

/// The problem as text; tables that several edges share are written once.
std::string toJson(const Problem &problem);

/// Writes toJson(), gzipped if the path ends in ".gz". Returns an error, or
/// nothing; the file is complete or not there.
std::optional<std::string> writeProblem(const Problem &problem,
                                        const std::string &path);

} // namespace tpc::solver

#endif // TPC_SHARDING_SOLVER_JSON_H
