//===- Mutations.cpp - Systematic damage to per-device programs -----------===//

#include "Mutations.h"
#include "TestModule.h"
#include "mlir/IR/Verifier.h"
#include "tpc/Dialect/Tpc/Tpc.h"
#include "llvm/ADT/Twine.h"
#include <cmath>

using namespace mlir;
using namespace tpc;
using namespace tpc::test;

spmd::ProgramOp test::programOf(ModuleOp module) {
  return *module.getOps<spmd::ProgramOp>().begin();
}

OwningOpRef<ModuleOp> test::mutated(ModuleOp module, const Mutation &mutation) {
  OwningOpRef<ModuleOp> copy = module.clone();
  Diagnostics diagnostics;
  mutation.apply(*copy);
  if (failed(verify(*copy)))
    return {};
  return copy;
}

namespace {

class Mutator {
public:
  explicit Mutator(ModuleOp module)
      : program(programOf(module)), mesh(*lookupMesh(module)),
        builder(module.getContext()) {
    listAxes({});
  }

  std::vector<Mutation> run() {
    for (Operation &op : program.getBody().front()) {
      if (isa<spmd::SpmdDialect>(op.getDialect()) && op.getNumOperands() == 1 &&
          op.getNumResults() == 1)
        replaceCommunication(&op);
      if (auto mask = dyn_cast<spmd::MaskOp>(op))
        changeMask(mask);
      if (auto start = dyn_cast<spmd::BlockStartOp>(op))
        changeStart(start);
      changeOperands(&op);
      changeLocal(&op);
      ++position;
    }
    changePorts();
    changeParameters(program->getParentOfType<ModuleOp>());
    return std::move(mutations);
  }

private:
  //===--------------------------------------------------------------------===//
  // Recording
  //===--------------------------------------------------------------------===//

  /// A mutation of the operation at the current position.
  void add(const Twine &what, std::function<void(Operation *)> change) {
    Operation *original = operationAt(program, position);
    mutations.push_back({("operation " + Twine(position) + " (" +
                          original->getName().getStringRef() + "): " + what)
                             .str(),
                         [change, position = position](ModuleOp module) {
                           change(operationAt(programOf(module), position));
                         }});
  }

  static Operation *operationAt(spmd::ProgramOp program, int64_t position) {
    return &*std::next(program.getBody().front().begin(), position);
  }

  void listAxes(AxisList list) {
    if (!list.empty())
      axisLists.push_back(list);
    AxisList units = mesh.axes();
    for (StringAttr name : mesh.names)
      if (mesh.size(AxisRef{name}) == 4)
        units.append({{name, 1, 2}, {name, 2, 2}});
    for (const AxisRef &axis : units) {
      if (llvm::any_of(list, [&](auto &o) { return o.overlaps(axis); }))
        continue;
      AxisList longer = list;
      longer.push_back(axis);
      listAxes(longer);
    }
  }

  static std::string text(ArrayRef<AxisRef> axes) {
    std::string result;
    llvm::raw_string_ostream os(result);
    printAxisList(os, axes);
    return result;
  }

  //===--------------------------------------------------------------------===//
  // Communication
  //===--------------------------------------------------------------------===//

  using Make =
      std::function<Value(OpBuilder &, Location, Type, Value, AxesAttr)>;

  /// Any other operation between the same types, none, or both.
  void replaceCommunication(Operation *op) {
    if (op->getOperand(0).getType() == op->getResult(0).getType()) {
      add("dropped", [](Operation *op) {
        op->getResult(0).replaceAllUsesWith(op->getOperand(0));
        op->erase();
      });
      add("doubled", [](Operation *op) {
        OpBuilder builder(op);
        builder.setInsertionPointAfter(op);
        Operation *again = builder.clone(*op);
        op->getResult(0).replaceAllUsesWith(again->getResult(0));
        again->setOperand(0, op->getResult(0));
      });
    }
    int64_t rank =
        cast<RankedTensorType>(op->getOperand(0).getType()).getRank();
    for (const AxisList &axes : axisLists) {
      for (Reduction reduction :
           {Reduction::Sum, Reduction::Max, Reduction::Min}) {
        replace("all_reduce", axes,
                [=](auto &b, auto loc, Type t, Value v, AxesAttr a) {
                  return spmd::AllReduceOp::create(b, loc, t, reduction, v, a,
                                                   {});
                });
        replace("to_partial", axes,
                [=](auto &b, auto loc, Type t, Value v, AxesAttr a) {
                  return spmd::ToPartialOp::create(b, loc, t, reduction, v, a);
                });
        for (int64_t dim = 0; dim < rank; ++dim)
          replace("reduce_scatter", axes,
                  [=](auto &b, auto loc, Type t, Value v, AxesAttr a) {
                    return spmd::ReduceScatterOp::create(b, loc, t, reduction,
                                                         v, dim, a, {});
                  });
      }
      for (int64_t dim = 0; dim < rank; ++dim) {
        replace("all_gather", axes,
                [=](auto &b, auto loc, Type t, Value v, AxesAttr a) {
                  return spmd::AllGatherOp::create(b, loc, t, v, dim, a, {});
                });
        replace("slice", axes,
                [=](auto &b, auto loc, Type t, Value v, AxesAttr a) {
                  return spmd::SliceOp::create(b, loc, t, v, dim, a);
                });
        for (int64_t from = 0; from < rank; ++from)
          replace("all_to_all", axes,
                  [=](auto &b, auto loc, Type t, Value v, AxesAttr a) {
                    return spmd::AllToAllOp::create(b, loc, t, v, dim, from, a,
                                                    {});
                  });
      }
      SmallVector<int64_t> rotated;
      for (int64_t i = 0, n = mesh.size(axes); i < n; ++i)
        rotated.push_back((i + 1) % n);
      replace("permute", axes,
              [=](auto &b, auto loc, Type t, Value v, AxesAttr a) {
                return spmd::PermuteOp::create(b, loc, t, v, rotated, a, {});
              });
    }
  }

  void replace(const Twine &kind, const AxisList &axes, Make make) {
    auto symbol = mesh.symbol;
    add(kind + " over " + text(axes), [=](Operation *op) {
      OpBuilder builder(op);
      auto attr = AxesAttr::get(op->getContext(), symbol, axes);
      Value made = make(builder, op->getLoc(), op->getResult(0).getType(),
                        op->getOperand(0), attr);
      op->getResult(0).replaceAllUsesWith(made);
      op->erase();
    });
  }

  //===--------------------------------------------------------------------===//
  // Masks, starts, operands, kinds
  //===--------------------------------------------------------------------===//

  void changeMask(spmd::MaskOp op) {
    for (double value : {1.0, -HUGE_VAL, HUGE_VAL, 0.0})
      add("value " + std::to_string(value), [value](Operation *op) {
        cast<spmd::MaskOp>(op).setValueAttr(
            OpBuilder(op).getF64FloatAttr(value));
      });
    auto whole = cast<RankedTensorType>(op.getWhole());
    for (unsigned set = 0; set < 1u << whole.getRank(); ++set) {
      SmallVector<int64_t> dims;
      for (int64_t dim = 0; dim < whole.getRank(); ++dim)
        if (set >> dim & 1)
          dims.push_back(dim);
      add("dims " + Twine(set),
          [dims](Operation *op) { cast<spmd::MaskOp>(op).setDims(dims); });
    }
    // Another block, or a tensor of which the last element is missing.
    forEachSharding(whole, [&](ShardingAttr sharding) {
      add("of " + toString(sharding.getValue()), [=](Operation *op) {
        op->setAttr("whole", TypeAttr::get(withSharding(whole, sharding)));
      });
    });
    for (int64_t dim = 0; dim < whole.getRank(); ++dim) {
      SmallVector<int64_t> shape(whole.getShape());
      if (--shape[dim] < 0)
        continue;
      auto smaller = RankedTensorType::get(shape, whole.getElementType(),
                                           whole.getEncoding());
      add("of a smaller tensor",
          [=](Operation *op) { op->setAttr("whole", TypeAttr::get(smaller)); });
    }
  }

  void changeStart(spmd::BlockStartOp op) {
    int64_t size = op.getSize();
    for (int64_t other : {size - 1, size + 1, size * 2, size / 2})
      add("size " + Twine(other), [other](Operation *op) {
        op->setAttr("size", OpBuilder(op).getI64IntegerAttr(other));
      });
    auto symbol = mesh.symbol;
    for (const AxisList &axes : axisLists)
      add("axes " + text(axes), [=](Operation *op) {
        op->setAttr("axes", AxesAttr::get(op->getContext(), symbol, axes));
      });
  }

  /// Each operand becomes each earlier value of its type (the last few).
  void changeOperands(Operation *op) {
    for (unsigned i = 0; i < op->getNumOperands(); ++i) {
      Type type = op->getOperand(i).getType();
      unsigned tried = 0;
      for (int64_t p = position - 1; p >= 0 && tried < 8; --p) {
        Operation *other = operationAt(program, p);
        if (other->getNumResults() != 1 ||
            other->getResult(0).getType() != type ||
            other->getResult(0) == op->getOperand(i))
          continue;
        ++tried;
        add("operand " + Twine(i) + " from operation " + Twine(p),
            [i, p](Operation *op) {
              op->setOperand(
                  i, operationAt(cast<spmd::ProgramOp>(op->getParentOp()), p)
                         ->getResult(0));
            });
      }
      for (BlockArgument argument : program.getBody().getArguments())
        if (argument.getType() == type && argument != op->getOperand(i))
          add("operand " + Twine(i) + " from an argument",
              [i, n = argument.getArgNumber()](Operation *op) {
                op->setOperand(i, op->getBlock()->getArgument(n));
              });
      for (unsigned j = 0; j < i; ++j)
        if (op->getOperand(j).getType() == type &&
            op->getOperand(j) != op->getOperand(i))
          add("operands " + Twine(j) + " and " + Twine(i) + " exchanged",
              [i, j](Operation *op) {
                Value first = op->getOperand(i);
                op->setOperand(i, op->getOperand(j));
                op->setOperand(j, first);
              });
    }
  }

  void changeLocal(Operation *op) {
    if (isa<spmd::SpmdDialect>(op->getDialect()))
      return;
    if (op->getNumOperands() && op->getNumResults() == 1 &&
        op->getOperand(0).getType() == op->getResult(0).getType())
      add("dropped", [](Operation *op) {
        op->getResult(0).replaceAllUsesWith(op->getOperand(0));
        op->erase();
      });
    if (isa<ReduceOp>(op))
      for (Reduction reduction :
           {Reduction::Sum, Reduction::Max, Reduction::Min})
        add("reduction", [reduction](Operation *op) {
          cast<ReduceOp>(op).setReduction(reduction);
        });
    if (isa<AddOp>(op))
      add("sub", [](Operation *op) {
        OpBuilder builder(op);
        Value sub =
            SubOp::create(builder, op->getLoc(), op->getResult(0).getType(),
                          op->getOperand(0), op->getOperand(1));
        op->getResult(0).replaceAllUsesWith(sub);
        op->erase();
      });
    if (auto constant = dyn_cast<ConstantOp>(op)) {
      auto type = cast<RankedTensorType>(constant.getType());
      if (isa<FloatType>(type.getElementType()))
        add("value", [type](Operation *op) {
          auto value = FloatAttr::get(type.getElementType(), 0.375);
          cast<ConstantOp>(op).setValueAttr(
              DenseElementsAttr::get(type, static_cast<Attribute>(value)));
        });
    }
    if (auto iota = dyn_cast<IotaOp>(op))
      for (int64_t dim = 0; dim < iota.getResult().getType().getRank(); ++dim)
        add("dim " + Twine(dim),
            [dim](Operation *op) { cast<IotaOp>(op).setDim(dim); });
  }

  //===--------------------------------------------------------------------===//
  // Promises
  //===--------------------------------------------------------------------===//

  /// Every split of a tensor by whole axes, without partial axes.
  void forEachSharding(RankedTensorType type,
                       llvm::function_ref<void(ShardingAttr)> visit) {
    std::function<void(Sharding, unsigned)> place = [&](Sharding sharding,
                                                        unsigned next) {
      if (next == mesh.names.size())
        return visit(ShardingAttr::get(type.getContext(), sharding));
      place(sharding, next + 1);
      for (AxisList &axes : sharding.dims) {
        axes.push_back({mesh.names[next]});
        place(sharding, next + 1);
        axes.pop_back();
      }
    };
    place(Sharding::replicated(mesh.symbol, type.getRank()), 0);
  }

  void changePorts() {
    auto module = program->getParentOfType<ModuleOp>();
    auto whole =
        cast<FunctionOpInterface>(module.lookupSymbol(program.getWhole()));
    changePorts("result", whole.getResultTypes(), "result_shardings",
                program.getResultShardings());
    changePorts("argument", whole.getArgumentTypes(), "arg_shardings",
                program.getArgShardings());
  }

  void changePorts(StringRef what, TypeRange types, StringRef name,
                   ArrayAttr shardings) {
    for (unsigned i = 0; i < types.size(); ++i)
      forEachSharding(
          cast<RankedTensorType>(types[i]), [&](ShardingAttr sharding) {
            if (sharding == shardings[i])
              return;
            SmallVector<Attribute> changed(shardings.getValue());
            changed[i] = sharding;
            ArrayAttr attr = builder.getArrayAttr(changed);
            mutations.push_back({(what + " " + Twine(i) + " promised as " +
                                  toString(sharding.getValue()))
                                     .str(),
                                 [name = name.str(), attr](ModuleOp module) {
                                   programOf(module)->setAttr(name, attr);
                                 }});
          });
  }

  void changeParameters(ModuleOp module) {
    for (auto parameter : module.getOps<ParameterOp>()) {
      RankedTensorType type = parameter.getTensorType();
      forEachSharding(type, [&](ShardingAttr sharding) {
        Type changed = withSharding(type, sharding);
        if (changed == type)
          return;
        mutations.push_back(
            {("@" + parameter.getSymName() + " held as " +
              toString(sharding.getValue()))
                 .str(),
             [symbol = parameter.getSymName().str(), changed](ModuleOp module) {
               module.lookupSymbol(symbol)->setAttr("type",
                                                    TypeAttr::get(changed));
             }});
      });
    }
  }

  spmd::ProgramOp program;
  Mesh mesh;
  Builder builder;
  int64_t position = 0;
  std::vector<AxisList> axisLists;
  std::vector<Mutation> mutations;
};

} // namespace

std::vector<Mutation> test::mutationsOf(ModuleOp module) {
  return Mutator(module).run();
}
