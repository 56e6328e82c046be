//===- PlanFileTest.cpp - Plans as files ----------------------------------===//

#include "tpc/Sharding/PlanFile.h"
#include "Assignments.h"
#include "Decisions.h"
#include "PlanReader.h"
#include "RandomProgram.h"
#include "ShardingText.h"
#include "TestModule.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace tpc;

namespace {

/// Every assignment of a program is written and read back as it is, whatever
/// made it, and is written the same again.
TEST(PlanFile, RoundTrip) {
  for (unsigned seed = 0; seed < 60; ++seed) {
    OwningOpRef<ModuleOp> module = test::parse(test::randomProgram(seed));
    ASSERT_TRUE(module);
    Mesh mesh = *lookupMesh(*module);
    AssignOptions options;
    options.machine = *findMachine("cpu");
    test::AssignmentSpace space(*module, options);
    std::mt19937 random(seed);
    for (int i = 0; i < 3; ++i) {
      Assignment assignment = space.any(random);
      auto text = planFileText(*module, mesh, assignment, options);
      ASSERT_TRUE(succeeded(text));
      AssignOptions follow = options;
      follow.plan = {"test", *text};
      auto followed = createAssigner(follow)->assign(*module, mesh);
      ASSERT_TRUE(succeeded(followed)) << "seed " << seed << "\n" << *text;
      for (auto &[value, sharding] : assignment.held) {
        ArrayRef<int64_t> shape =
            cast<RankedTensorType>(value.getType()).getShape();
        EXPECT_EQ(toString(canonical(sharding, shape, mesh)),
                  toString(followed->held.lookup(value)));
      }
      for (auto &[op, wanted] : assignment.wanted)
        for (auto [j, sharding] : llvm::enumerate(wanted)) {
          ArrayRef<int64_t> shape =
              cast<RankedTensorType>(op->getOperand(j).getType()).getShape();
          EXPECT_EQ(toString(canonical(sharding, shape, mesh)),
                    toString(followed->wanted.find(op)->second[j]));
        }
      ModuleDecisions decisions = ModuleDecisions::of(*module);
      for (const auto *symbols : {&decisions.parameters, &decisions.states})
        for (const Decision &symbol : *symbols) {
          StringAttr name = SymbolTable::getSymbolName(symbol.op);
          EXPECT_EQ(toString(canonical(assignment.symbols.lookup(name),
                                       symbol.type.getShape(), mesh)),
                    toString(followed->symbols.lookup(name)));
        }
      auto again = planFileText(*module, mesh, *followed, follow);
      ASSERT_TRUE(succeeded(again));
      EXPECT_EQ(*text, *again);
    }
  }
}

//===----------------------------------------------------------------------===//
// Shardings
//===----------------------------------------------------------------------===//

class ShardingTextTest : public testing::Test {
protected:
  void SetUp() override {
    module = test::emptyModule("dp=2,tp=8");
    mesh = *lookupMesh(*module);
  }
  /// What is read, written again, or the error.
  std::string reread(StringRef text, ArrayRef<int64_t> shape) {
    std::string error;
    auto sharding = takeSharding(text, shape, mesh, error);
    return sharding ? shardingText(*sharding) + text.str() : error;
  }

  OwningOpRef<ModuleOp> module;
  Mesh mesh;
};

TEST_F(ShardingTextTest, ReadsWhatItWrites) {
  for (StringRef text :
       {"[{}, {tp}]", "[{dp, tp:(2)4}, {}]", "[{}, {}] sum {tp}",
        "[{tp:(1)2}, {dp}] max {tp:(2)4}", "[{}, {}] sum {dp} sum {tp}"})
    EXPECT_EQ(reread(text, {16, 16}), text);
  EXPECT_EQ(reread("[]", {}), "[]");
  EXPECT_EQ(reread("[{tp}], [{}]", {8}), "[{tp}], [{}]"); // the first
  // Other spacing and notation mean the same.
  EXPECT_EQ(reread("[{ dp ,tp:(1)8 },{}]  sum {}", {16, 16}), "[{dp, tp}, {}]");
  EXPECT_EQ(reread("[{tp:(1)2, tp:(2)4}]", {16}), "[{tp}]");
}

TEST_F(ShardingTextTest, RefusesWhatIsNone) {
  for (StringRef text : {"", "[", "[{}", "[{}, {}]", "[{xp}]", "[{tp:}]",
                         "[{tp:(}]", "[{tp:(1)}]", "[{tp:(1)0}]", "[{tp,}]",
                         "{tp}", "[{tp:(99999999999999999999)2}]"})
    EXPECT_EQ(reread(text, {16}).find("expected a sharding of 1 dimensions"),
              0u)
        << text.str() << ": " << reread(text, {16});
  EXPECT_EQ(reread("[{tp:(3)2}]", {16}),
            "[{tp:(3)2}]: sub-axis \"tp\":(3)2 does not divide the axis of "
            "size 8");
  EXPECT_EQ(reread("[{tp:(-1)2}]", {16}).find("[{tp:(-1)2}]: sub-axis"), 0u);
  EXPECT_EQ(reread("[{tp}] sum {tp:(1)2}", {16}),
            "[{tp}] sum {tp:(1)2}: uses an axis twice");
  // As many axes as a file holds.
  std::string many = "[{tp";
  for (int i = 0; i < 100000; ++i)
    many += ", tp";
  EXPECT_EQ(reread(many + "}]", {16}).find("expected a sharding"), 0u);
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

std::string errorOf(const std::string &text) {
  std::string error;
  return readPlan(text, error) ? "" : error;
}

const std::string kHead = R"({"tpc_plan": 1, "mode": "auto", "machine": "cpu",
  "mesh": "tp=2", "parameters": {}, "states": {}, "entries": )";

TEST(PlanReader, Errors) {
  EXPECT_EQ(errorOf(kHead + "{}}"), "");
  EXPECT_EQ(errorOf("[]").find("expected a JSON object with a plan"), 0u);
  EXPECT_EQ(errorOf("").find("expected a JSON object with a plan"), 0u);
  EXPECT_EQ(errorOf(std::string(100000, '[')).find("expected a JSON object"),
            0u);
  EXPECT_EQ(errorOf("{}"), "expected \"tpc_plan\": 1, the version of the "
                           "format, which is not there");
  EXPECT_EQ(errorOf(R"({"tpc_plan": "1"})"),
            errorOf("{}")); // no number
  EXPECT_EQ(errorOf(R"({"tpc_plan": 7, "new": 1})"),
            "expected version 1 of the format (\"tpc_plan\"), found 7; write "
            "the plan anew with --plan-out");
  EXPECT_EQ(errorOf(R"({"tpc_plan": 1, "more": 1})"),
            "the plan: unknown key \"more\"");
  EXPECT_EQ(errorOf(R"({"tpc_plan": 1, "mode": 1})"),
            "the plan: expected a string \"mode\"");
  EXPECT_EQ(errorOf(kHead + "{}, \"mesh\": \"tp=4\"}"),
            "the plan: \"mesh\" occurs twice");
  EXPECT_EQ(errorOf(kHead + "[]}"), "the plan: expected an object \"entries\"");
  EXPECT_EQ(errorOf(kHead + R"({"main": 1}})"),
            "entry \"main\": expected an object");
  EXPECT_EQ(errorOf(kHead + R"({"main": {"model": "x", "inputs": {}}}})"),
            "entry \"main\": expected an object \"operations\"");
  EXPECT_EQ(errorOf(kHead + R"({"main": {"model": "x",
                            "inputs": {"a": "1", "a": "2"}}}})"),
            "inputs of @main: \"a\" occurs twice");
  EXPECT_EQ(errorOf(kHead + R"({"main": {"model": "x",
                            "inputs": {"a": ["1"]}}}})"),
            "inputs of @main: expected a string at \"a\"");
}

//===----------------------------------------------------------------------===//
// Fingerprints
//===----------------------------------------------------------------------===//

std::string fingerprintOf(const std::string &body,
                          const std::string &argument = "") {
  OwningOpRef<ModuleOp> module =
      test::parse("tpc.mesh @mesh <\"tp\" = 2>\n"
                  "func.func @main(%x: tensor<4x4xf32>" +
                  argument + ", %z: tensor<4x4xf32>) -> tensor<4x4xf32> {\n" +
                  body + "return %y : tensor<4x4xf32>\n}\n");
  return module ? fingerprint(*module->getOps<func::FuncOp>().begin()) : "";
}

TEST(Fingerprint, IsOfWhatIsComputed) {
  std::string type = "(tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>";
  std::string add = fingerprintOf("%y = tpc.add %x, %z : " + type + "\n");
  // On every machine and in every process.
  EXPECT_EQ(add, "2 operations, " + add.substr(14));
  EXPECT_NE(add, fingerprintOf("%y = tpc.mul %x, %z : " + type + "\n"));
  EXPECT_NE(add, fingerprintOf("%y = tpc.add %z, %x : " + type + "\n"));
  std::string product = "%y = tpc.matmul %x, %z \"b e, e f -> ";
  EXPECT_NE(fingerprintOf(product + "b f\" : " + type + "\n"),
            fingerprintOf(product + "f b\" : " + type + "\n"));
  // Names and pins are no part of it.
  EXPECT_EQ(
      add, fingerprintOf("%y = tpc.add %x, %z : " + type + " loc(\"here\")\n"));
  EXPECT_EQ(add, fingerprintOf("%y = tpc.add %x, %z : " + type + "\n",
                               " {tpc.sharding = #tpc.sharding<@mesh, [{}, "
                               "{\"tp\"}]>}"));
}

} // namespace
