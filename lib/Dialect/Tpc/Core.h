//===- Core.h - Building core operations on whole tensors -------*- C++ -*-===//
//
// What decompositions and gradients are written in.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_DIALECT_TPC_CORE_H
#define TPC_LIB_DIALECT_TPC_CORE_H

#include "mlir/IR/Builders.h"
#include "tpc/Dialect/Tpc/Tpc.h"

namespace tpc {

/// Builds core operations on values, with result types inferred.
class Core {
public:
  Core(mlir::OpBuilder &builder, mlir::Location loc)
      : builder(builder), loc(loc) {}

  static mlir::RankedTensorType type(mlir::Value value) {
    return llvm::cast<mlir::RankedTensorType>(value.getType());
  }
  static llvm::ArrayRef<int64_t> shape(mlir::Value value) {
    return type(value).getShape();
  }
  mlir::Type f32() { return builder.getF32Type(); }

  mlir::Value convert(mlir::Value x, mlir::Type element) {
    if (type(x).getElementType() == element)
      return x;
    // What was only widened is there already.
    if (auto widened = x.getDefiningOp<ConvertOp>();
        widened && widened.widens() &&
        type(widened.getOperand()).getElementType() == element)
      return widened.getOperand();
    return make<ConvertOp>(with(x, element), x);
  }
  /// A constant of the shape and element type of `like`.
  mlir::Value constant(double value, mlir::Value like) {
    return constant(value, type(like).getShape(), type(like).getElementType());
  }
  mlir::Value constant(double value, llvm::ArrayRef<int64_t> shape,
                       mlir::Type element) {
    auto tensor = mlir::RankedTensorType::get(shape, element);
    mlir::Attribute scalar;
    if (auto floating = llvm::dyn_cast<mlir::FloatType>(element))
      scalar = mlir::FloatAttr::get(floating, value);
    else
      scalar = mlir::IntegerAttr::get(element, static_cast<int64_t>(value));
    return make<ConstantOp>(tensor,
                            mlir::DenseElementsAttr::get(tensor, scalar));
  }
  template <typename OpT> mlir::Value unary(mlir::Value x) {
    return make<OpT>(x.getType(), x);
  }
  template <typename OpT> mlir::Value binary(mlir::Value x, mlir::Value y) {
    return make<OpT>(x.getType(), x, y);
  }
  template <typename OpT> mlir::Value binary(mlir::Value x, double y) {
    return binary<OpT>(x, constant(y, x));
  }
  mlir::Value compare(Predicate predicate, mlir::Value x, mlir::Value y) {
    return make<CompareOp>(with(x, builder.getI1Type()), predicate, x, y);
  }
  mlir::Value select(mlir::Value condition, mlir::Value x, mlir::Value y) {
    return make<SelectOp>(x.getType(), condition, x, y);
  }
  /// Reduction over dimension `dim`.
  mlir::Value reduce(Reduction reduction, mlir::Value x, int64_t dim) {
    llvm::SmallVector<int64_t> rest(shape(x));
    rest.erase(rest.begin() + dim);
    return make<ReduceOp>(
        mlir::RankedTensorType::get(rest, type(x).getElementType()), reduction,
        x, builder.getDenseI64ArrayAttr({dim}));
  }
  /// Dimension i of x becomes dimension dims[i] of `shape`.
  mlir::Value broadcast(mlir::Value x, llvm::ArrayRef<int64_t> shape,
                        llvm::ArrayRef<int64_t> dims) {
    return make<BroadcastOp>(
        mlir::RankedTensorType::get(shape, type(x).getElementType()), x,
        builder.getDenseI64ArrayAttr(dims));
  }
  /// Repeats x along a new dimension `dim` of `shape`.
  mlir::Value broadcastAlong(mlir::Value x, llvm::ArrayRef<int64_t> shape,
                             int64_t dim) {
    llvm::SmallVector<int64_t> dims;
    for (int64_t i = 0, rank = shape.size(); i < rank; ++i)
      if (i != dim)
        dims.push_back(i);
    return broadcast(x, shape, dims);
  }
  mlir::Value reshape(mlir::Value x, llvm::ArrayRef<int64_t> shape) {
    return make<ReshapeOp>(
        mlir::RankedTensorType::get(shape, type(x).getElementType()), x);
  }
  /// `size` elements along `dim` from `offset`.
  mlir::Value slice(mlir::Value x, int64_t dim, int64_t offset, int64_t size) {
    llvm::SmallVector<int64_t> sizes(shape(x)), offsets(sizes.size(), 0);
    sizes[dim] = size;
    offsets[dim] = offset;
    return make<SliceOp>(
        mlir::RankedTensorType::get(sizes, type(x).getElementType()), x,
        builder.getDenseI64ArrayAttr(offsets));
  }
  mlir::Value concat(llvm::ArrayRef<mlir::Value> parts, int64_t dim) {
    llvm::SmallVector<int64_t> sizes(shape(parts.front()));
    for (mlir::Value part : parts.drop_front())
      sizes[dim] += shape(part)[dim];
    return make<ConcatOp>(mlir::RankedTensorType::get(
                              sizes, type(parts.front()).getElementType()),
                          parts, builder.getI64IntegerAttr(dim));
  }
  mlir::Value iota(llvm::ArrayRef<int64_t> shape, int64_t dim) {
    return make<IotaOp>(
        mlir::RankedTensorType::get(shape, builder.getI64Type()),
        builder.getI64IntegerAttr(dim));
  }
  mlir::Value matmul(mlir::Value lhs, mlir::Value rhs, llvm::StringRef equation,
                     llvm::ArrayRef<int64_t> shape, mlir::Type element) {
    return make<MatmulOp>(mlir::RankedTensorType::get(shape, element), lhs, rhs,
                          builder.getStringAttr(equation));
  }
  /// The product of two tensors in the wider of their types, of the shape and
  /// element type of `like`.
  mlir::Value productLike(mlir::Value like, mlir::Value lhs, mlir::Value rhs,
                          llvm::StringRef equation) {
    mlir::Type left = type(lhs).getElementType();
    mlir::Type right = type(rhs).getElementType();
    mlir::Type result = type(like).getElementType();
    bool less = left.getIntOrFloatBitWidth() < right.getIntOrFloatBitWidth();
    mlir::Type wider = less ? right : left;
    // Products of f64 have results in f64, those of 32 and 16 bits in any.
    mlir::Value product =
        matmul(convert(lhs, wider), convert(rhs, wider), equation, shape(like),
               wider.isF64() ? wider : result);
    return convert(product, result);
  }
  /// The adjoint of `broadcast`: x, which is larger, summed to `shape`, whose
  /// dimension i is dimension dims[i] of x or 1.
  mlir::Value sumTo(mlir::Value x, llvm::ArrayRef<int64_t> shape,
                    llvm::ArrayRef<int64_t> dims) {
    llvm::SmallVector<int64_t> summed, rest;
    for (auto [dim, size] : llvm::enumerate(type(x).getShape())) {
      auto it = llvm::find(dims, static_cast<int64_t>(dim));
      if (it == dims.end() || shape[it - dims.begin()] != size)
        summed.push_back(dim);
      else
        rest.push_back(size);
    }
    if (!summed.empty())
      x = make<ReduceOp>(
          mlir::RankedTensorType::get(rest, type(x).getElementType()),
          Reduction::Sum, x, builder.getDenseI64ArrayAttr(summed));
    return type(x).getShape() == shape ? x : reshape(x, shape);
  }
  template <typename OpT, typename... Args>
  mlir::Value make(mlir::Type result, Args &&...args) {
    return OpT::create(builder, loc, result, std::forward<Args>(args)...)
        ->getResult(0);
  }
  static mlir::Type with(mlir::Value x, mlir::Type element) {
    return mlir::RankedTensorType::get(shape(x), element);
  }

private:
  mlir::OpBuilder &builder;
  mlir::Location loc;
};

} // namespace tpc

#endif // TPC_LIB_DIALECT_TPC_CORE_H
