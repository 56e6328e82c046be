//===- GraphBuilder.h - Building a model's graph ----------------*- C++ -*-===//
//
// What families of models are built from: parameters that are views of stored
// tensors, and operations on whole tensors with inferred result types. Every
// operation carries the current scope ("encoder.layer.0.attention") as the
// name of its location, which reports and messages show.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_IMPORT_GRAPHBUILDER_H
#define TPC_LIB_IMPORT_GRAPHBUILDER_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "tpc/Dialect/Tpc/Tpc.h"
#include "llvm/ADT/StringSet.h"

namespace tpcrt {
class WeightSource;
}

namespace tpc {

class GraphBuilder {
public:
  using Shape = llvm::ArrayRef<int64_t>;

  /// Parameters are computed in `element`; with `weights`, stored tensors are
  /// checked to exist with the expected shape, without they are taken to be of
  /// type `stored`.
  GraphBuilder(mlir::ModuleOp module, mlir::Location location,
               mlir::Type element, mlir::Type stored,
               const tpcrt::WeightSource *weights);

  //===--------------------------------------------------------------------===//
  // Entries
  //===--------------------------------------------------------------------===//

  struct Input {
    std::string name;
    mlir::RankedTensorType type;
  };
  /// Starts an entry function; returns its arguments.
  llvm::SmallVector<mlir::Value> begin(llvm::StringRef entry,
                                       llvm::ArrayRef<Input> inputs);
  /// One more argument of the entry, after the others.
  mlir::Value addInput(const Input &input);
  /// Ends it with named results.
  void end(llvm::ArrayRef<std::pair<std::string, mlir::Value>> results);
  /// Whether an error was emitted (a stored tensor that does not fit).
  bool failed() const { return hasFailed; }

  /// Everything built while it lives is named `name`.
  class Scope {
  public:
    Scope(GraphBuilder &builder, llvm::StringRef name);
    ~Scope();

  private:
    GraphBuilder &builder;
    std::string outer;
  };

  //===--------------------------------------------------------------------===//
  // Parameters. `stored` is the name in the files; reading it again gives the
  // same parameter.
  //===--------------------------------------------------------------------===//

  /// Files of a model without a head lack this at the beginning of their names:
  /// "transformer.wte.weight" is then found as "wte.weight".
  void setOptionalPrefix(llvm::StringRef prefix) {
    optionalPrefix = prefix.str();
  }
  /// The stored tensor as it is.
  mlir::Value parameter(llvm::StringRef stored, Shape shape);
  /// The stored tensor under another shape.
  mlir::Value view(llvm::StringRef stored, Shape storedShape, Shape shape);
  /// The first `shape[0]` rows of a stored table of `rows` rows.
  mlir::Value firstRows(llvm::StringRef stored, int64_t rows, Shape shape);
  /// A stored [out, in] matrix as [in..., out...]: in and out may be several
  /// dimensions (heads), whose products are the stored sizes.
  mlir::Value weight(llvm::StringRef stored, Shape in, Shape out);
  /// A part of a stored matrix: its `out` dimension is `groups` groups of
  /// `size` rows, of which rows `first` to `first + count` are meant. All, if
  /// `size` is 0.
  struct Part {
    llvm::StringRef name; ///< of the parameter: "STORED.NAME"
    int64_t groups = 1, size = 0, first = 0, count = 0;
  };
  /// As weight(), of a part of a matrix [out, in], or with `transposed` of one
  /// that is stored [in, out].
  mlir::Value weight(llvm::StringRef stored, Shape in, Shape out,
                     const Part &part, bool transposed);
  /// As vector(), of a part.
  mlir::Value vector(llvm::StringRef stored, Shape shape, const Part &part);
  /// A part of each of `count` matrices [in, out] that are stored in one
  /// tensor, or with an empty `in` of vectors [out].
  mlir::Value storedStack(llvm::StringRef stored, int64_t count, Shape in,
                          int64_t out, const Part &part);
  /// Stored [out, in] matrices one after the other, [count, in, out]. `stored`
  /// has a "{}" for their number.
  mlir::Value stackedWeights(llvm::StringRef stored, int64_t count, int64_t in,
                             int64_t out);
  /// A stored tensor with its dimensions in another order: dimension i of the
  /// parameter is dimension permutation[i] of the stored one.
  mlir::Value permuted(llvm::StringRef stored, Shape storedShape,
                       Shape permutation);
  /// Which of two stored tensors a tied one is read from: `own` where it is not
  /// tied, and where the files have both with different values, for then they
  /// were not tied; `shared` otherwise, if the files have it.
  std::string tied(llvm::StringRef own, llvm::StringRef shared, bool isTied);
  /// Stored vectors [size] one after the other, as `shape` [count..., size].
  mlir::Value stackedVectors(llvm::StringRef stored, Shape shape);
  /// Whether the weights are known and have this tensor.
  bool isStored(llvm::StringRef stored) const;
  /// A stored vector as several dimensions.
  mlir::Value vector(llvm::StringRef stored, Shape shape);

  /// The value of a state, which is declared where it is read or written first.
  mlir::Value state(llvm::StringRef name, Shape shape);
  void write(llvm::StringRef state, mlir::Value value);

  //===--------------------------------------------------------------------===//
  // Operations
  //===--------------------------------------------------------------------===//

  mlir::Value add(mlir::Value x, mlir::Value y);
  mlir::Value sub(mlir::Value x, mlir::Value y);
  mlir::Value max(mlir::Value x, mlir::Value y);
  mlir::Value min(mlir::Value x, mlir::Value y);
  mlir::Value abs(mlir::Value x);
  mlir::Value exp(mlir::Value x);
  mlir::Value log(mlir::Value x);
  mlir::Value sqrt(mlir::Value x);
  mlir::Value erf(mlir::Value x);
  /// x times a number, plus a number.
  mlir::Value scaled(mlir::Value x, double factor);
  mlir::Value shifted(mlir::Value x, double by);
  /// Between the two.
  mlir::Value clamped(mlir::Value x, double low, double high);
  /// limit * tanh(x / limit)
  mlir::Value softcapped(mlir::Value x, double limit);
  mlir::Value sigmoid(mlir::Value x);
  mlir::Value tanh(mlir::Value x);
  mlir::Value gelu(mlir::Value x, GeluForm form);
  mlir::Value relu(mlir::Value x);
  mlir::Value silu(mlir::Value x);
  mlir::Value softmax(mlir::Value x);
  /// The `count` largest values along the last dimension, and where they stand.
  std::pair<mlir::Value, mlir::Value> topK(mlir::Value x, int64_t count);
  /// x divided by its sums over the last dimension, to which `epsilon` is
  /// added.
  mlir::Value normalized(mlir::Value x, double epsilon = 0);
  /// Rows times the matrices that they choose: tpc.grouped_matmul.
  mlir::Value groupedMatmul(mlir::Value rows, mlir::Value choices,
                            mlir::Value weights);
  /// Rows of a table by index.
  mlir::Value gatherRows(mlir::Value table, mlir::Value indices);
  mlir::Value experts(mlir::Value x, mlir::Value choices, mlir::Value scores,
                      mlir::Value gate, mlir::Value up, mlir::Value down);
  mlir::Value rmsNorm(mlir::Value x, mlir::Value weight, double epsilon);
  mlir::Value rope(RopeForm form, mlir::Value x, mlir::Value positions,
                   mlir::Value frequencies, double scale);
  mlir::Value layerNorm(mlir::Value x, mlir::Value weight, mlir::Value bias,
                        double epsilon);
  /// Contraction by an equation, plus `bias`, if given, along the result's
  /// last dimensions.
  mlir::Value linear(mlir::Value x, mlir::Value weight, mlir::Value bias,
                     llvm::StringRef equation);
  mlir::Value matmul(mlir::Value x, mlir::Value y, llvm::StringRef equation);
  mlir::Value embedding(mlir::Value table, mlir::Value tokens);
  /// -ln softmax(logits)[label] of every label, in f32; 0 where there is no
  /// such logit.
  mlir::Value crossEntropy(mlir::Value logits, mlir::Value labels);
  /// What shapes attention beside its operands; null and 0: nothing.
  struct Visible {
    mlir::Value bias, lengths, offset, sinks;
    bool causal = false;
    int64_t window = 0;
    double softcap = 0;
  };
  mlir::Value attention(mlir::Value query, mlir::Value key, mlir::Value value,
                        double scale, const Visible &visible);
  mlir::Value convert(mlir::Value x, mlir::Type element);
  mlir::Value constant(double value, Shape shape, mlir::Type element);
  /// A vector of f32.
  mlir::Value constant(llvm::ArrayRef<float> values);
  /// A vector of i64.
  mlir::Value constant(llvm::ArrayRef<int64_t> values);
  mlir::Value reduceSum(mlir::Value x, int64_t dim);
  /// The sum of all elements, a scalar.
  mlir::Value total(mlir::Value x);
  mlir::Value reduceMax(mlir::Value x, int64_t dim);
  mlir::Value concat(llvm::ArrayRef<mlir::Value> parts, int64_t dim);
  /// `x` with a part replaced; `start` as in tpc.update_slice.
  mlir::Value updateSlice(mlir::Value x, mlir::Value update, mlir::Value start);
  mlir::Value compare(Predicate predicate, mlir::Value x, mlir::Value y);
  mlir::Value select(mlir::Value condition, mlir::Value x, mlir::Value y);
  mlir::Value iota(Shape shape, int64_t dim, mlir::Type element);
  mlir::Value mul(mlir::Value x, mlir::Value y);
  mlir::Value div(mlir::Value x, mlir::Value y);
  /// Dimension i of x becomes dimension dims[i] of `shape`.
  mlir::Value broadcast(mlir::Value x, Shape shape, Shape dims);
  mlir::Value slice(mlir::Value x, Shape offsets, Shape sizes);
  mlir::Value reshape(mlir::Value x, Shape shape);
  /// Dimension i of the result is dimension permutation[i] of x.
  mlir::Value transpose(mlir::Value x, Shape permutation);
  /// x in a tensor of zeros, from `low` on.
  mlir::Value pad(mlir::Value x, Shape low, Shape shape);

  mlir::Type element() const { return elementType; }
  mlir::OpBuilder &raw() { return builder; }
  mlir::Location where() const { return location; }
  static Shape shapeOf(mlir::Value value);
  static mlir::Type elementOf(mlir::Value value);

private:
  mlir::Location loc();
  mlir::Value declare(llvm::StringRef symbol,
                      llvm::ArrayRef<std::string> stored, Shape storedShape,
                      Shape shape, llvm::ArrayRef<ViewStepAttr> view);
  void declareState(llvm::StringRef name, mlir::RankedTensorType type);
  /// The name as the files have it.
  std::string nameInFiles(llvm::StringRef stored) const;
  bool checkStored(llvm::StringRef stored, Shape shape);
  mlir::FailureOr<mlir::Type> elementOfStored(llvm::StringRef stored);
  mlir::RankedTensorType tensor(Shape shape, mlir::Type element);
  llvm::SmallVector<int64_t> contractedShape(mlir::Value x, mlir::Value y,
                                             llvm::StringRef equation);

  mlir::ModuleOp module;
  mlir::Location location;
  mlir::Type elementType, storedType;
  const tpcrt::WeightSource *weights;
  mlir::OpBuilder builder;
  mlir::func::FuncOp function;
  std::string scope, optionalPrefix;
  llvm::StringSet<> declared;
  bool hasFailed = false;
};

} // namespace tpc

#endif // TPC_LIB_IMPORT_GRAPHBUILDER_H
