#include "tpcrt/TensorSpec.h"
#include "TestFiles.h"
#include "tpcrt/Npy.h"

#include <gtest/gtest.h>

using namespace tpcrt;
using namespace tpcrt::test;

namespace {

std::string roundTrip(const std::string &spec) {
  auto parsed = parseInputSpec(spec);
  return parsed ? parsed->name + "=" + formatTensor(parsed->value)
                : "error: " + parsed.error().message;
}

TEST(TensorSpec, InlineValues) {
  for (const char *spec :
       {"x=2x3xi64=1,-2,3,4,5,6", "x=f32=1.5", "a.b=2xbool=true,false",
        "x=2xbf16=1,-0.5", "x=1x2xf16=65504,0.25", "x=1xf64=1e-300",
        "x=0x3xi32=", "x=3xf32=inf,-inf,nan"})
    EXPECT_EQ(roundTrip(spec), spec);
  EXPECT_EQ(roundTrip("x=2x2xf32=7"), "x=2x2xf32=7,7,7,7");
  EXPECT_EQ(roundTrip("x=2xi1=1,0"), "x=2xbool=true,false");
}

TEST(TensorSpec, Problems) {
  auto expect = [](const std::string &spec, const std::string &part) {
    std::string found = roundTrip(spec);
    EXPECT_NE(found.find(part), std::string::npos) << found;
    EXPECT_TRUE(found.starts_with("error: input '")) << found;
  };
  expect("x", "expected name=");
  expect("=f32=1", "expected name=");
  expect("x=f32", "expected @file.npy");
  expect("x=2xf33=1,2", "expected @file.npy");
  expect("x=-2xf32=1", "expected @file.npy");
  expect("x=99999999999999999999xf32=1", "expected @file.npy");
  expect("x=4294967296x4294967296xf32=1", "too large");
  expect("x=2xf32=1,2,3", "expected 2 elements or one for all, found 3");
  expect("x=3xf32=1,2", "expected 3 elements or one for all, found 2");
  expect("x=2xf32=", "found 0");
  expect("x=2xf32=1,", "after the last comma");
  expect("x=2xf32=1,two", "element 1 'two' is not a value of f32");
  expect("x=2xi32=1,2.5", "element 1 '2.5' is not a value of i32");
  expect("x=1xi32=3000000000", "not a value of i32");
  expect("x=1xbool=2", "not a value of bool");
  expect("x=@/nonexistent.npy", "/nonexistent.npy");
}

TEST(TensorSpec, File) {
  TemporaryFolder folder;
  HostTensor tensor(ElementType::I32, {2});
  tensor.as<int32_t>()[1] = 5;
  ASSERT_TRUE(writeNpy(folder.file("x.npy"), tensor));
  EXPECT_EQ(roundTrip("x=@" + folder.file("x.npy")), "x=2xi32=0,5");
}

TEST(TensorSpec, Outputs) {
  auto spec = parseOutputSpec("y=@out/y.npy");
  ASSERT_TRUE(spec);
  EXPECT_EQ(spec->name, "y");
  EXPECT_EQ(spec->path, "out/y.npy");
  for (const char *bad : {"y", "y=", "y=@", "=@y.npy", "y=y.npy"})
    EXPECT_FALSE(parseOutputSpec(bad)) << bad;
}

TEST(TensorSpec, OrderByName) {
  auto order = [](std::vector<std::string> given) -> std::string {
    std::vector<NamedTensor> tensors;
    for (auto &name : given)
      tensors.push_back({name, HostTensor(ElementType::F32, {name.size()})});
    auto ordered = orderByName("input", {"a", "bb"}, std::move(tensors));
    if (!ordered)
      return ordered.error().message;
    return (*ordered)[0].describe() + " " + (*ordered)[1].describe();
  };
  EXPECT_EQ(order({"bb", "a"}), "1xf32 2xf32");
  EXPECT_EQ(order({"a"}), "input 'bb' is missing");
  EXPECT_EQ(order({"a", "bb", "a"}), "input 'a' is given twice");
  EXPECT_EQ(order({"c"}), "there is no input 'c'; expected the inputs [a, bb]");
}

TEST(TensorSpec, FormatEndsEarly) {
  EXPECT_EQ(formatTensor(HostTensor(ElementType::I32, {5}), 2),
            "5xi32=0,0,...");
  EXPECT_EQ(formatTensor(HostTensor(ElementType::I32, {2}), 2), "2xi32=0,0");
}

} // namespace
