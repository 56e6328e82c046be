//===- Tpc.h - The tpc dialect ----------------------------------*- C++ -*-===//

#ifndef TPC_DIALECT_TPC_TPC_H
#define TPC_DIALECT_TPC_TPC_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/IR/TensorEncoding.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "tpc/Dialect/Tpc/Sharding.h"
#include "tpc/Interfaces/Decomposable.h"
#include "tpc/Interfaces/Differentiable.h"
#include "tpc/Interfaces/ShardingRule.h"

#include "tpc/Dialect/Tpc/TpcDialect.h.inc"

#define GET_ATTRDEF_CLASSES
#include "tpc/Dialect/Tpc/TpcAttrs.h.inc"

namespace tpc {
/// Operations that compute every element from the same element of the
/// operands.
template <typename ConcreteOp>
class Elementwise : public mlir::OpTrait::TraitBase<ConcreteOp, Elementwise> {};

/// Composites whose gradients are computed by one operation, tpc.vjp.
template <typename ConcreteOp>
class GradientStep : public mlir::OpTrait::TraitBase<ConcreteOp, GradientStep> {
};
} // namespace tpc

#define GET_OP_CLASSES
#include "tpc/Dialect/Tpc/TpcOps.h.inc"

namespace tpc {

/// Name of the discardable attribute that pins a sharding.
inline constexpr llvm::StringLiteral kShardingAttrName = "tpc.sharding";
/// On a module: the machine that times are predicted for (a string), what the
/// optimizer's search found, and what is predicted by entry (dictionaries).
inline constexpr llvm::StringLiteral kMachineAttrName = "tpc.machine";
inline constexpr llvm::StringLiteral kSearchAttrName = "tpc.search";
inline constexpr llvm::StringLiteral kPredictedAttrName = "tpc.predicted";

/// Name of the attribute that names an argument or result for users.
inline constexpr llvm::StringLiteral kNameAttrName = "tpc.name";

/// Name of the attribute of a result that is held like a parameter or state: a
/// symbol of the same type. A gradient is, since it will change what is stored.
inline constexpr llvm::StringLiteral kLikeAttrName = "tpc.like";

/// What a result of an entry is held like, or null.
mlir::StringAttr heldLike(mlir::FunctionOpInterface function, unsigned index);

/// The parameters whose gradients an entry of the module returns.
llvm::DenseSet<mlir::StringAttr> trainedParameters(mlir::ModuleOp module);

/// Names of an entry's inputs and outputs: the `tpc.name` attribute, else
/// "arg0" or "result0".
std::string argumentName(mlir::FunctionOpInterface function, unsigned index);
std::string resultName(mlir::FunctionOpInterface function, unsigned index);

/// Results that are gradients are called "grad.NAME".
inline constexpr llvm::StringLiteral kGradientPrefix = "grad.";
bool isGradient(mlir::FunctionOpInterface function, unsigned index);

/// The sharding that a type carries, or null.
ShardingAttr getSharding(mlir::Type type);
/// The type with this sharding (null: without).
mlir::RankedTensorType withSharding(mlir::RankedTensorType type,
                                    ShardingAttr sharding);
mlir::RankedTensorType withSharding(mlir::RankedTensorType type,
                                    const Sharding &sharding);
/// The type of one device's block: local shape, no encoding.
mlir::RankedTensorType localType(mlir::RankedTensorType type, const Mesh &mesh);

/// The mesh of the module around `op`; error at `op` when it has none.
mlir::FailureOr<Mesh> lookupMesh(mlir::Operation *op);
/// The mesh as data.
Mesh toMesh(MeshOp op);

/// How a value is called in messages and reports: its location's name, the
/// symbol it reads, the argument's name or number, or its operation.
std::string describe(mlir::Value value);
std::string describe(mlir::Operation *op);

/// Parses and prints axis lists as in `{"dp", "tp":(2)4}`.
mlir::ParseResult parseAxisList(mlir::AsmParser &parser, AxisList &axes,
                                bool *open = nullptr);
void printAxisList(llvm::raw_ostream &os, llvm::ArrayRef<AxisRef> axes,
                   bool open = false);
std::string toString(const Sharding &sharding);

/// Parses and prints one view step as in `slice [0, 1] [2, 2]`; null when it is
/// malformed.
ViewStepAttr parseViewStep(mlir::AsmParser &parser);
void printViewStep(llvm::raw_ostream &os, ViewStepAttr step);

} // namespace tpc

#endif // TPC_DIALECT_TPC_TPC_H
