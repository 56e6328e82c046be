#ifndef TPC_TRANSFORMS_PASSES_TD
#define TPC_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def DifferentiatePass : Pass<"tpc-differentiate", "::mlir::ModuleOp"> {
  let summary = "Adds gradients to the results of an entry";
  let description = [{
    Whole form in and out. The entry keeps its inputs and results, and gets one
    result more for each parameter or input in `wrt`: the gradient of the loss,
    of the type of what it belongs to and named `grad.NAME`.

    ```
    func.func @main(%x: tensor<8x4xf32>) -> tensor<f32>
    // tpc-opt --tpc-differentiate="entry=main"
    func.func @main(%x: tensor<8x4xf32>) -> (tensor<f32>,
        tensor<4x2xf32> {tpc.name = "grad.w"})
    ```

    What an operation's gradient reads of the forward is kept by being read;
    see docs/differentiation.md.
  }];
  let options = [
    Option<"entry", "entry", "std::string", "\"main\"",
           "the function to differentiate">,
    Option<"output", "output", "std::string", "\"\"",
           "name of the result that is the loss; may be left out where only one "
           "result is a floating-point scalar">,
    ListOption<"wrt", "wrt", "std::string",
               "names of parameters and inputs; without it all floating-point "
               "parameters that the loss depends on">
  ];
  let dependentDialects = ["::tpc::TpcDialect"];
}

def AssignShardingPass : Pass<"tpc-assign-sharding", "::mlir::ModuleOp"> {
  let summary = "Decides how every tensor is split";
  let description = [{
    Whole form in, assigned form out: every tensor type carries its sharding,
    every operation is local under a strategy of its rule, and `tpc.reshard`
    stands where a sharding changes.

    Times are predicted for the machine that the module attribute `tpc.machine`
    names (a built-in machine or a file; `cpu` without it). What mode `auto`
    found out is left on the module as `tpc.search`.
  }];
  let options = [
    Option<"mode", "mode", "std::string", "\"auto\"",
           "how to decide: auto, megatron, propagate">,
    Option<"machine", "machine", "std::string", "\"\"",
           "machine to set on the module: a name or a file">,
    Option<"memoryLimit", "memory-limit", "int64_t", "-1",
           "bytes on one device; -1: what the machine has">,
    Option<"weights", "weights", "std::string", "\"\"",
           "how often entries are called: prefill=1,decode=100">,
    ListOption<"pins", "pins", "std::string",
               "pins beside those in the module: NAME=SHARDING, NAME=colwise, "
               "NAME=rowwise, NAME=replicated, AXIS=batch">,
    Option<"optimizerBytes", "optimizer-bytes", "int64_t", "0",
           "bytes per element of a parameter with a gradient that an optimizer "
           "keeps beside the program">,
    Option<"timeLimit", "time-limit", "double", "20",
           "seconds that mode auto may search">,
    Option<"dumpProblem", "dump-problem", "std::string", "\"\"",
           "file to write the problem of mode auto to, for tpc-solve">
  ];
  let dependentDialects = ["::tpc::TpcDialect"];
}

def ExpandSynchronizedPass : Pass<"tpc-expand-synchronized", "::mlir::ModuleOp"> {
  let summary = "Expands composites that are split where devices must agree";
  let description = [{
    A composite whose strategy splits a synchronized factor (softmax along its
    dimension) is replaced by its decomposition, assigned by propagation from
    its operands' and results' shardings. The reductions inside then appear as
    reshards. Where the split is even and the composite has a blockwise form,
    that is used: the blocks exchange one summary. It is proved to compute what
    the decomposition does.
  }];
  let dependentDialects = ["::tpc::TpcDialect", "::mlir::func::FuncDialect"];
}

def VerifyAssignedPass : Pass<"tpc-verify-assigned", "::mlir::ModuleOp"> {
  let summary = "Checks that every operation is local under its shardings";
}

def PartitionPass : Pass<"tpc-partition", "::mlir::ModuleOp"> {
  let summary = "Makes the per-device programs";
  let description = [{
    Assigned form in; out come `spmd.program`s beside the whole functions,
    which lose their shardings. Types become local types one to one; every
    reshard becomes collectives, every operation that mixes padding with data
    gets its operands masked first.
  }];
  let dependentDialects = ["::tpc::TpcDialect", "::tpc::spmd::SpmdDialect"];
}

def VerifyPartitionPass : Pass<"tpc-verify-partition", "::mlir::ModuleOp"> {
  let summary = "Proves that every program computes its whole function";
  let description = [{
    Walks each `spmd.program` beside its whole function and proves for every
    local value which whole value it is a block of, under which sharding, and
    what its padding holds. Shares no code with assignment and partition.
  }];
}

#endif // TPC_TRANSFORMS_PASSES_TD
