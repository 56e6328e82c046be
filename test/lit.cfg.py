"""lit suites: every .mlir or .test file with a RUN line."""

import os

import lit.formats

config.name = "tpc"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs", "Unit", "Python"]
config.test_source_root = os.path.join(config.tpc_source_dir, "test")
config.test_exec_root = os.path.join(config.tpc_binary_dir, "test")
config.substitutions.append(("%examples", os.path.join(config.tpc_source_dir, "examples")))
config.environment["PATH"] = os.pathsep.join(
    [os.path.join(config.tpc_binary_dir, "bin"), config.llvm_tools_dir,
     config.environment.get("PATH", "")])
