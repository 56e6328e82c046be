//===- BlockOps.cpp - Threads of a block working together -----------------===//

#include "BlockOps.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace tpc;

constexpr unsigned kGlobal = 1, kShared = 3; // address spaces

LLVM::LLVMFuncOp tpc::createCudaKernel(OpBuilder &builder, Location loc,
                                       StringRef symbol, int64_t threads,
                                       ArrayRef<BufferFacts> buffers) {
  MLIRContext *context = builder.getContext();
  SmallVector<Type> types(buffers.size(),
                          LLVM::LLVMPointerType::get(context, kGlobal));
  auto kernel = LLVM::LLVMFuncOp::create(
      builder, loc, symbol,
      LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(context), types));
  kernel->setAttr(NVVM::NVVMDialect::getKernelFuncAttrName(),
                  builder.getUnitAttr());
  kernel->setAttr(NVVM::NVVMDialect::getReqntidAttrName(),
                  builder.getDenseI32ArrayAttr({int32_t(threads), 1, 1}));
  for (auto [i, facts] : llvm::enumerate(buffers)) {
    kernel.setArgAttr(i, LLVM::LLVMDialect::getAlignAttrName(),
                      builder.getI64IntegerAttr(facts.alignment));
    if (!facts.readOnly)
      continue;
    kernel.setArgAttr(i, LLVM::LLVMDialect::getNoAliasAttrName(),
                      builder.getUnitAttr());
    kernel.setArgAttr(i, LLVM::LLVMDialect::getReadonlyAttrName(),
                      builder.getUnitAttr());
  }
  builder.setInsertionPointToStart(kernel.addEntryBlock(builder));
  return kernel;
}

BlockOps::BlockOps(LaneOps &ops, LLVM::LLVMFuncOp kernel, int64_t threads)
    : threads(threads), ops(ops), builder(ops.builder), kernel(kernel) {
  Type i32 = builder.getI32Type(), i64 = builder.getI64Type();
  thread32 = NVVM::ThreadIdXOp::create(builder, ops.loc, i32);
  block32 = NVVM::BlockIdXOp::create(builder, ops.loc, i32);
  thread = arith::ExtUIOp::create(builder, ops.loc, i64, thread32);
  block = arith::ExtUIOp::create(builder, ops.loc, i64, block32);
}

Value BlockOps::globalThread(int64_t limit) {
  if (limit + threads > std::numeric_limits<int32_t>::max())
    return ops.add(ops.mul(block, threads), thread);
  // Divisions of 32 bits take a third of the instructions.
  Value begin = arith::MulIOp::create(builder, ops.loc, block32, i32(threads));
  return arith::ExtUIOp::create(
      builder, ops.loc, builder.getI64Type(),
      arith::AddIOp::create(builder, ops.loc, begin, thread32));
}

void BlockOps::barrier() { NVVM::Barrier0Op::create(builder, ops.loc); }

Value BlockOps::shared(Type type, int64_t count) {
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(kernel);
  std::string name =
      (kernel.getSymName() + "_shared" + Twine(numShared++)).str();
  auto array = LLVM::LLVMArrayType::get(type, count);
  auto global = LLVM::GlobalOp::create(
      builder, ops.loc, array, /*isConstant=*/false, LLVM::Linkage::Internal,
      name, Attribute(), /*alignment=*/16, kShared);
  builder.setInsertionPointToStart(&kernel.getBody().front());
  return LLVM::AddressOfOp::create(builder, ops.loc, global);
}

static Value elementAddress(OpBuilder &builder, Location loc, Value memory,
                            Type type, Value index) {
  return LLVM::GEPOp::create(builder, loc, memory.getType(), type, memory,
                             ArrayRef<LLVM::GEPArg>{index});
}

Value BlockOps::loadShared(Value memory, Type type, Value index) {
  Value at = elementAddress(builder, ops.loc, memory, type, index);
  return LLVM::LoadOp::create(builder, ops.loc, type, at);
}

void BlockOps::storeShared(Value value, Value memory, Value index) {
  Value at = elementAddress(builder, ops.loc, memory, value.getType(), index);
  LLVM::StoreOp::create(builder, ops.loc, value, at);
}

Value BlockOps::i32(int32_t number) {
  return arith::ConstantOp::create(builder, ops.loc,
                                   builder.getI32IntegerAttr(number));
}

Value BlockOps::in32Bits(Value value, llvm::function_ref<Value(Value)> move) {
  Location loc = ops.loc;
  Type type = value.getType(), i32 = builder.getI32Type(),
       i64 = builder.getI64Type();
  if (type.isF64())
    return arith::BitcastOp::create(
        builder, loc, type,
        in32Bits(arith::BitcastOp::create(builder, loc, i64, value), move));
  if (type.isInteger(64)) {
    Value half = ops.i64(32);
    Value low = arith::TruncIOp::create(builder, loc, i32, value);
    Value high = arith::TruncIOp::create(
        builder, loc, i32, arith::ShRUIOp::create(builder, loc, value, half));
    low = arith::ExtUIOp::create(builder, loc, i64, move(low));
    high = arith::ExtUIOp::create(builder, loc, i64, move(high));
    return arith::OrIOp::create(
        builder, loc, arith::ShLIOp::create(builder, loc, high, half), low);
  }
  if (type.isInteger(1)) {
    Value wide = arith::ExtUIOp::create(builder, loc, i32, value);
    return arith::TruncIOp::create(builder, loc, type, move(wide));
  }
  return move(value);
}

// All lanes of the warp take part, and any may be the source.
constexpr int32_t kAllLanes = -1, kWholeWarp = 31;

Value BlockOps::shuffle(Value value, int64_t lanes) {
  return in32Bits(value, [&](Value part) -> Value {
    return NVVM::ShflOp::create(
        builder, ops.loc, part.getType(), i32(kAllLanes), part, i32(lanes),
        i32(kWholeWarp), NVVM::ShflKind::bfly, UnitAttr());
  });
}

Value BlockOps::broadcast(Value value, Value lane) {
  Value source =
      arith::TruncIOp::create(builder, ops.loc, builder.getI32Type(), lane);
  return in32Bits(value, [&](Value part) -> Value {
    return NVVM::ShflOp::create(builder, ops.loc, part.getType(),
                                i32(kAllLanes), part, source, i32(kWholeWarp),
                                NVVM::ShflKind::idx, UnitAttr());
  });
}

void BlockOps::when(Value condition, llvm::function_ref<void()> body) {
  if (!condition)
    return body();
  auto branch =
      scf::IfOp::create(builder, ops.loc, condition, /*withElse=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.thenBlock());
  body();
}

BlockOps::Values BlockOps::reduce(Values values, int64_t width,
                                  Combine combine) {
  auto butterfly = [&](int64_t group) {
    for (int64_t lanes = group / 2; lanes > 0; lanes /= 2) {
      Values others;
      for (Value value : values)
        others.push_back(shuffle(value, lanes));
      values = combine(values, others);
    }
  };
  butterfly(std::min(width, kWarp));
  if (width <= kWarp)
    return values;
  int64_t warps = threads / kWarp;
  Value lane = arith::RemUIOp::create(builder, ops.loc, thread, ops.i64(kWarp));
  Value warp = arith::DivUIOp::create(builder, ops.loc, thread, ops.i64(kWarp));
  Values slots;
  for (Value value : values)
    slots.push_back(shared(value.getType(), warps));
  when(ops.compareIndex(arith::CmpIPredicate::eq, lane, ops.i64(0)), [&] {
    for (auto [value, slot] : llvm::zip_equal(values, slots))
      storeShared(value, slot, warp);
  });
  barrier();
  Value mine = arith::RemUIOp::create(builder, ops.loc, lane, ops.i64(warps));
  for (auto [value, slot] : llvm::zip_equal(values, slots))
    value = loadShared(slot, value.getType(), mine);
  butterfly(warps);
  return values;
}

Value BlockOps::reduce(Value value, int64_t width, Reduction reduction) {
  return reduce({value}, width,
                [&](ArrayRef<Value> a, ArrayRef<Value> b) -> Values {
                  return {ops.combine(reduction, a[0], b[0])};
                })
      .front();
}
