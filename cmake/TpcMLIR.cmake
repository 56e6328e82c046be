# Finds MLIR and LLVM (their shared libraries only: mixing in the static
# dialect archives would duplicate type ids), and defines the helpers that
# every compiler library uses.
if(NOT MLIR_DIR)
  find_program(LLVM_CONFIG NAMES llvm-config-22 REQUIRED)
  execute_process(COMMAND ${LLVM_CONFIG} --prefix OUTPUT_VARIABLE LLVM_PREFIX
                  OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  set(MLIR_DIR ${LLVM_PREFIX}/lib/cmake/mlir)
  set(LLVM_DIR ${LLVM_PREFIX}/lib/cmake/llvm)
endif()
find_package(MLIR REQUIRED CONFIG)
list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
include(TableGen)
include(AddLLVM)
include(AddMLIR)
find_package(simdjson REQUIRED)
find_package(fmt REQUIRED)

# An interface target that carries MLIR's include paths, flags and libraries.
add_library(tpc_mlir INTERFACE)
target_include_directories(tpc_mlir SYSTEM INTERFACE ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
target_include_directories(tpc_mlir INTERFACE ${PROJECT_SOURCE_DIR}/include ${PROJECT_BINARY_DIR}/include)
target_compile_options(tpc_mlir INTERFACE -fno-exceptions)
target_link_libraries(tpc_mlir INTERFACE tpc_options MLIR LLVM)
# LLVM's own OpenMP lies there under the name of GNU's, which oneDNN uses: the
# system's libraries come first.
target_link_options(tpc_mlir INTERFACE
  -Wl,-rpath,/usr/lib/${CMAKE_LIBRARY_ARCHITECTURE} -Wl,-rpath,${LLVM_LIBRARY_DIRS}
  -L${LLVM_LIBRARY_DIRS})

# MLIR's headers cost seconds per file; one precompiled header, shared by all
# libraries, brings that to about one.
file(WRITE ${PROJECT_BINARY_DIR}/pch/TpcPch.cpp "")
add_library(tpc_pch OBJECT ${PROJECT_BINARY_DIR}/pch/TpcPch.cpp)
target_compile_features(tpc_pch PRIVATE cxx_std_17)
target_link_libraries(tpc_pch PRIVATE tpc_mlir)
target_compile_options(tpc_pch PRIVATE -Xclang -fno-pch-timestamp)
target_precompile_headers(tpc_pch PRIVATE ${PROJECT_SOURCE_DIR}/cmake/TpcPch.h)

# tpc_add_library(NAME SOURCES... [DEPENDS targets...] [LINK libraries...])
function(tpc_add_library name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_compile_features(${name} PUBLIC cxx_std_17)
  target_link_libraries(${name} PUBLIC tpc_mlir ${ARG_LINK})
  target_compile_options(${name} PRIVATE -Xclang -fno-pch-timestamp)
  target_precompile_headers(${name} REUSE_FROM tpc_pch)
  if(ARG_DEPENDS)
    add_dependencies(${name} ${ARG_DEPENDS})
  endif()
endfunction()

# tpc_add_executable(NAME SOURCES... [LINK libraries...])
function(tpc_add_executable name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_compile_features(${name} PRIVATE cxx_std_17)
  target_link_libraries(${name} PRIVATE tpc_mlir ${ARG_LINK})
  # The precompiled header is built as -fPIC; CMake would pass -fPIE.
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${name} PRIVATE -fPIC -Xclang -fno-pch-timestamp)
  target_precompile_headers(${name} REUSE_FROM tpc_pch)
endfunction()
