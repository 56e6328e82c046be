# Compile and link options shared by every target of the project.
add_library(tpc_options INTERFACE)
target_compile_options(tpc_options INTERFACE -Wall -Wextra -Wno-unused-parameter -fno-strict-aliasing)
target_link_options(tpc_options INTERFACE -fuse-ld=lld)
if(TPC_SANITIZE)
  target_compile_options(tpc_options INTERFACE -fsanitize=${TPC_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(tpc_options INTERFACE -fsanitize=${TPC_SANITIZE})
endif()
