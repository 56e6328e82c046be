# The reference of dialects and passes, generated from ODS into docs/reference and
# committed. `tpc-docs` regenerates it; the test `docs` fails when it is stale.
set(TPC_DOCS_DIR ${PROJECT_SOURCE_DIR}/docs/reference)
find_program(TPC_MLIR_TBLGEN mlir-tblgen HINTS ${LLVM_TOOLS_BINARY_DIR} NO_DEFAULT_PATH REQUIRED)
add_custom_target(tpc-docs)

# tpc_generated_docs(NAME SOURCE.td GENERATOR...): docs/reference/NAME.md.
function(tpc_generated_docs name source)
  set(generated ${PROJECT_BINARY_DIR}/docs/${name}.md)
  set(generate ${TPC_MLIR_TBLGEN} ${ARGN}
      -I ${PROJECT_SOURCE_DIR}/include -I ${MLIR_INCLUDE_DIRS}
      ${PROJECT_SOURCE_DIR}/include/${source})
  add_custom_target(tpc-docs-${name}
    COMMAND ${generate} -o ${TPC_DOCS_DIR}/${name}.md VERBATIM)
  add_dependencies(tpc-docs tpc-docs-${name})
  if(TPC_BUILD_TESTS)
    file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/docs)
    add_test(NAME docs/${name}
      COMMAND sh -c "\"$@\" -o ${generated} && { cmp ${generated} ${TPC_DOCS_DIR}/${name}.md || { echo 'run: cmake --build build/release --target tpc-docs'; exit 1; }; }"
              sh ${generate})
  endif()
endfunction()

tpc_generated_docs(tpc tpc/Dialect/Tpc/TpcOps.td -gen-dialect-doc -dialect=tpc)
tpc_generated_docs(spmd tpc/Dialect/Spmd/SpmdOps.td -gen-dialect-doc -dialect=spmd)
tpc_generated_docs(plan tpc/Dialect/Plan/PlanOps.td -gen-dialect-doc -dialect=plan)
tpc_generated_docs(passes-sharding tpc/Transforms/Passes.td -gen-pass-doc)
tpc_generated_docs(passes-codegen tpc/Codegen/Passes.td -gen-pass-doc)
