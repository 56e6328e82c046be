//===- PinTable.h - Pins as restrictions of places --------------*- C++ -*-===//
//
// A *place* is what has a sharding that can be pinned: a parameter, a state, an
// argument, a result, a tpc.shard. Every pin, whether it stands in the module
// or is requested, becomes a restriction of the places that it speaks of:
//
//   pin 0  tpc.sharding [{"tp"}, {}] on @w       @w: exactly so
//   pin 1  --pin "*=colwise"                     @w: tp splits dimension 1 only
//   pin 2  --pin "dp=batch"                      @w: dp splits no dimension
//                                                %x: dp splits dimension 0 only
//
// Pins 0 and 1 contradict each other at @w. Any set of pins that leaves every
// place a sharding has an assignment, as operations can be computed anyhow and
// values resharded; only a memory limit can still forbid it. An axis rule is
// also kept inside: operations split nothing but batch dimensions by the axis.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_PINTABLE_H
#define TPC_LIB_SHARDING_PINTABLE_H

#include "BatchDims.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "tpc/Sharding/Pins.h"
#include "tpc/Sharding/Strategies.h"
#include "llvm/ADT/BitVector.h"

namespace tpc {

/// One pin, for messages.
struct Pin {
  /// `--pin "dp=batch"`, or `the pin [{"tp"}, {}]`.
  std::string text;
  /// Of a pin in the module.
  std::optional<mlir::Location> location;
};

/// What one pin allows at one place.
struct Restriction {
  enum Kind {
    Exact,       ///< this sharding; open dimensions may be split further
    SplitsFully, ///< every axis splits the dimensions, and nothing else
    SplitsOnly   ///< the axes split the dimensions or nothing
  };
  unsigned pin;
  Kind kind;
  /// Exact; canonical.
  Sharding sharding = {};
  AxisList axes = {};
  llvm::SmallVector<bool> dims = {};

  /// `stored` must be canonical.
  bool allows(const Sharding &stored, const Mesh &mesh) const;
};

struct Place {
  enum Kind { Parameter, State, Argument, Result, Shard } kind;
  /// Symbol, function, function and tpc.shard.
  mlir::Operation *op;
  unsigned index; ///< of an argument or result
  mlir::RankedTensorType type;
  mlir::Location location;
  /// `parameter @w`
  std::string text;
  std::vector<Restriction> restrictions = {};
};

class PinTable {
public:
  /// Emits errors at pins that are none: malformed ones, requests that match
  /// nothing.
  static mlir::FailureOr<PinTable> read(mlir::ModuleOp module, const Mesh &mesh,
                                        llvm::ArrayRef<PinRequest> requests);

  llvm::ArrayRef<Pin> pins() const { return allPins; }
  llvm::ArrayRef<Place> places() const { return allPlaces; }
  /// The place of a parameter, state or tpc.shard.
  const Place &of(mlir::Operation *op) const;
  const Place &ofArgument(mlir::func::FuncOp function, unsigned index) const;
  const Place &ofResult(mlir::func::FuncOp function, unsigned index) const;

  /// The shardings that a place may have by itself or by some of its pins, of
  /// which `stored` are those by itself. No less for fewer pins.
  std::vector<Sharding> candidates(const Place &place,
                                   std::vector<Sharding> stored) const;
  /// Whether the pins, of which those in `active` count, allow a candidate.
  bool allows(const Place &place, const Sharding &candidate,
              const llvm::BitVector &active) const;
  /// Whether the axis rules allow a strategy of an operation.
  bool allows(mlir::Operation *op, const OpShardings &shardings,
              const llvm::BitVector &active) const;
  bool hasAxisRules() const { return !axisRules.empty(); }

private:
  class Reader;
  explicit PinTable(const Mesh &mesh) : mesh(mesh) {}
  const Place &at(Place::Kind kind, mlir::Operation *op, unsigned index) const;

  Mesh mesh;
  std::vector<Pin> allPins;
  std::vector<Place> allPlaces;
  llvm::DenseMap<std::pair<mlir::Operation *, unsigned>, unsigned> numbers;
  struct AxisRule {
    unsigned pin;
    AxisRef axis;
  };
  std::vector<AxisRule> axisRules;
  std::optional<BatchDims> batch;
};

} // namespace tpc

#endif // TPC_LIB_SHARDING_PINTABLE_H
