# Compile and link options shared by every target of the project.
add_library(tpc_options INTERFACE)
target_compile_options(tpc_options INTERFACE -Wall -Wextra -Wno-unused-parameter -fno-strict-aliasing)
target_link_options(tpc_options INTERFACE -fuse-ld=lld)
if(TPC_SANITIZE)
  # LLVM's own library has no RTTI, which the checks of vptr and function need.
  set(sanitize -fsanitize=${TPC_SANITIZE} -fno-sanitize=vptr,function)
  target_compile_options(tpc_options INTERFACE
    ${sanitize} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(tpc_options INTERFACE ${sanitize})
endif()
