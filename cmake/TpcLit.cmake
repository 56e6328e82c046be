# lit suites as ctest entries: tpc_add_lit_suite(DIR) registers the tests below
# test/DIR, run by lit with LLVM's FileCheck, not and split-file.
set(TPC_LLVM_TOOLS_DIR ${LLVM_TOOLS_BINARY_DIR})
find_program(TPC_LIT NAMES llvm-lit-22 lit lit.py
  HINTS ${LLVM_TOOLS_BINARY_DIR} NO_DEFAULT_PATH REQUIRED)
configure_file(${PROJECT_SOURCE_DIR}/test/lit.site.cfg.py.in
               ${PROJECT_BINARY_DIR}/test/lit.site.cfg.py @ONLY)

function(tpc_add_lit_suite dir)
  add_test(NAME lit/${dir}
    COMMAND ${TPC_PYTHON} ${TPC_LIT} -sv ${PROJECT_BINARY_DIR}/test/${dir})
endfunction()
