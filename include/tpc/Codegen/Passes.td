#ifndef TPC_CODEGEN_PASSES_TD
#define TPC_CODEGEN_PASSES_TD

include "mlir/Pass/PassBase.td"

def FuseEpilogues : Pass<"tpc-fuse-epilogues", "::mlir::ModuleOp"> {
  let summary = "Makes bias and activation part of their matmul";
  let description = [{
    A product, the bias added to it and the activation of their sum become one
    `plan.contract`, where that saves a pass over a result of at least
    `minimum-bytes`; lib/Transforms/FuseEpilogues.cpp has the rule.
  }];
  let options = [Option<"minimumBytes", "minimum-bytes", "int64_t", "65536",
                        "bytes of the result on one device">,
                 Option<"device", "device", "std::string", "\"cpu\"",
                        "kind of the devices: cpu or cuda">];
  let dependentDialects = ["::tpc::TpcDialect", "::tpc::plan::PlanDialect"];
}

def ExpandComposites : Pass<"tpc-expand-composites", "::mlir::ModuleOp"> {
  let summary = "Replaces composites in spmd.program by their decomposition";
  let description = [{
    Attention whose query, key and value have one element type stays: it is a
    step of its own.
  }];
  let dependentDialects = ["::tpc::TpcDialect"];
}

def ExpandDeviceOps : Pass<"tpc-expand-device-ops", "::mlir::ModuleOp"> {
  let summary = "Expresses what depends on the device by device scalars";
  let description = [{
    device_index, block_start, slice, mask and to_partial of the spmd dialect
    become `plan.device_scalar` and core operations. Afterwards a device's
    program depends on its number through these scalars only.
  }];
  let dependentDialects = ["::tpc::TpcDialect", "::tpc::plan::PlanDialect"];
}

def FlattenCollectives : Pass<"tpc-flatten-collectives", "::mlir::ModuleOp"> {
  let summary = "Leaves only collectives that are flat in memory";
  let description = [{
    Collectives along an inner dimension, or with uneven blocks, become a flat
    one between transposes, pads and slices.
  }];
  let dependentDialects = ["::tpc::TpcDialect", "::tpc::spmd::SpmdDialect"];
}

def GroupCollectives : Pass<"tpc-group-collectives", "::mlir::ModuleOp"> {
  let summary = "Makes one collective of several small ones of a kind";
  let description = [{
    Flat collectives of one kind, reduction, axes and element type that do not
    depend on each other become one over their concatenated chunks where the
    latencies that this saves are more than what the copies take on the module's
    machine (`tpc.machine`). lib/Transforms/GroupCollectives.cpp has the rules.
  }];
  let dependentDialects = ["::tpc::TpcDialect", "::tpc::spmd::SpmdDialect"];
}

def NormalizeMatmuls : Pass<"tpc-normalize-matmuls", "::mlir::ModuleOp"> {
  let summary = "Leaves only contractions that are strided matrix products";
  let dependentDialects = ["::tpc::TpcDialect"];
}

def FormKernels : Pass<"tpc-form-kernels", "::mlir::ModuleOp"> {
  let summary = "Makes a plan.program of every spmd.program";
  let description = [{
    Groups operations into kernels by the rule of lib/Codegen/Fusion.h, and
    makes every other operation a step or a view. Equal kernels share one
    function.
  }];
  let dependentDialects = ["::tpc::plan::PlanDialect"];
}

def AllocateBuffers : Pass<"tpc-allocate-buffers", "::mlir::ModuleOp"> {
  let summary = "Gives every value of a plan.program its location";
  let dependentDialects = ["::tpc::plan::PlanDialect"];
}

def VerifyPlan : Pass<"tpc-verify-plan", "::mlir::ModuleOp"> {
  let summary = "Proves that every read sees the value that it names";
  let description = [{
    Replays every plan.program over the bytes of all memory spaces. Shares no
    code with the allocator.
  }];
}

def EmitKernels : Pass<"tpc-emit-kernels", "::mlir::ModuleOp"> {
  let summary = "Replaces every plan.kernel_func by its loops";
  let description = [{
    For looking at generated code: the functions become `llvm.func`s of vector
    loops, or for a GPU of one thread's work, as `lib/Target` compiles them.
  }];
  let options = [Option<"isa", "isa", "std::string", "\"avx2\"",
                        "avx512bf16, avx512, avx2; sm_80, sm_90, sm_100">];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect",
    "::mlir::math::MathDialect", "::mlir::NVVM::NVVMDialect",
    "::mlir::scf::SCFDialect",
    "::mlir::vector::VectorDialect"
  ];
}

#endif // TPC_CODEGEN_PASSES_TD
