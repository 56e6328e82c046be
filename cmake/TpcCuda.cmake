# Whether the CUDA device is built. It needs headers only; the driver and the
# libraries are opened at run time, so that one binary serves machines with and
# without a GPU.
#   TPC_HAS_CUDA           whether it is built
#   TPC_CUDA_INCLUDE_DIRS  where its headers are
set(TPC_HAS_CUDA OFF)
set(TPC_CUDA_INCLUDE_DIRS)
if(TPC_ENABLE_CUDA)
  set(missing)
  foreach(header cuda.h cublasLt.h nccl.h)
    string(MAKE_C_IDENTIFIER "TPC_FOUND_${header}" variable)
    find_path(${variable} ${header}
      HINTS ${CUDAToolkit_ROOT} $ENV{CUDA_HOME} /usr/local/cuda PATH_SUFFIXES include)
    mark_as_advanced(${variable})
    if(${variable})
      list(APPEND TPC_CUDA_INCLUDE_DIRS ${${variable}})
    else()
      list(APPEND missing ${header})
    endif()
  endforeach()
  list(REMOVE_DUPLICATES TPC_CUDA_INCLUDE_DIRS)
  if(NOT missing)
    set(TPC_HAS_CUDA ON)
  elseif(TPC_ENABLE_CUDA STREQUAL AUTO)
    message(STATUS "CUDA device and its tests: left out, no ${missing}")
  else()
    list(JOIN missing ", " missing)
    message(FATAL_ERROR "TPC_ENABLE_CUDA=ON: expected the CUDA toolkit's headers and NCCL's, found no ${missing}; "
      "set CUDAToolkit_ROOT to the toolkit's folder, or TPC_ENABLE_CUDA=OFF")
  endif()
endif()
