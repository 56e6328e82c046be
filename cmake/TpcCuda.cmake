# Whether the CUDA device is built, and with it attention by cuDNN. Both need
# headers only; the driver and the libraries are opened at run time, so that one
# binary serves machines with and without a GPU.
#   TPC_HAS_CUDA, TPC_CUDA_INCLUDE_DIRS    CUDA, cuBLASLt and NCCL
#   TPC_HAS_CUDNN, TPC_CUDNN_INCLUDE_DIRS  cuDNN 9 and its frontend

# tpc_find_headers(PREFIX OPTION HINT HEADER...): sets TPC_HAS_<PREFIX> and
# TPC_<PREFIX>_INCLUDE_DIRS where all headers are found. OPTION is ON, OFF or
# AUTO; HINT says where else to look.
function(tpc_find_headers prefix option hint)
  set(found)
  set(missing)
  if(${option})
    foreach(header ${ARGN})
      string(MAKE_C_IDENTIFIER "TPC_FOUND_${header}" variable)
      find_path(${variable} ${header}
        HINTS ${${hint}} ${CUDAToolkit_ROOT} $ENV{CUDA_HOME} /usr/local/cuda PATH_SUFFIXES include)
      mark_as_advanced(${variable})
      if(${variable})
        list(APPEND found ${${variable}})
      else()
        list(APPEND missing ${header})
      endif()
    endforeach()
    list(REMOVE_DUPLICATES found)
    list(JOIN missing ", " missing)
    if(missing AND NOT ${option} STREQUAL AUTO)
      message(FATAL_ERROR "${option}=ON: found no ${missing}; set ${hint} to the folder that has "
        "them in 'include', or ${option}=OFF")
    elseif(missing)
      message(STATUS "${prefix} and its tests: left out, no ${missing}")
    endif()
  endif()
  if(found AND NOT missing)
    set(TPC_HAS_${prefix} ON PARENT_SCOPE)
    set(TPC_${prefix}_INCLUDE_DIRS ${found} PARENT_SCOPE)
  else()
    set(TPC_HAS_${prefix} OFF PARENT_SCOPE)
  endif()
endfunction()

tpc_find_headers(CUDA TPC_ENABLE_CUDA CUDAToolkit_ROOT cuda.h cublasLt.h nccl.h)
if(TPC_HAS_CUDA)
  file(STRINGS ${TPC_FOUND_nccl_h}/nccl.h windows REGEX ncclCommWindowRegister)
  if(NOT windows AND TPC_ENABLE_CUDA STREQUAL AUTO)
    message(STATUS "CUDA and its tests: left out, ${TPC_FOUND_nccl_h}/nccl.h is older than 2.27")
    set(TPC_HAS_CUDA OFF)
  elseif(NOT windows)
    message(FATAL_ERROR "TPC_ENABLE_CUDA=ON: expected nccl.h of 2.27 or newer, found an older one in "
      "${TPC_FOUND_nccl_h}; set TPC_FOUND_nccl_h to another folder, or TPC_ENABLE_CUDA=OFF")
  endif()
endif()
set(TPC_HAS_CUDNN OFF)
if(TPC_HAS_CUDA)
  tpc_find_headers(CUDNN TPC_ENABLE_CUDNN CUDNN_FRONTEND_ROOT cudnn.h cudnn_frontend.h)
endif()
