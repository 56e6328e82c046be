// The public headers are C++17: the compiler includes them.
#include "tpcrt/Artifact.h"
#include "tpcrt/AvailableMemory.h"
#include "tpcrt/ElementType.h"
#include "tpcrt/Error.h"
#include "tpcrt/HostTensor.h"
#include "tpcrt/Npy.h"
#include "tpcrt/OutputFile.h"
#include "tpcrt/Placement.h"
#include "tpcrt/Runtime.h"
#include "tpcrt/Safetensors.h"
#include "tpcrt/TensorSpec.h"
#include "tpcrt/Topology.h"
#include "tpcrt/artifact_generated.h"
#include "tpcrt/tpcrt.h"

#include <gtest/gtest.h>

static_assert(__cplusplus == 201703L, "compile this file as C++17");

TEST(PublicHeaders, ElementTypesAgree) {
  EXPECT_EQ(static_cast<int>(tpcrt::ElementType::Bool), TPCRT_BOOL);
  EXPECT_EQ(tpcrt::parseTypeName("bf16"), tpcrt::ElementType::BF16);
  EXPECT_EQ(tpcrt::parseTypeName("f8"), std::nullopt);
}
