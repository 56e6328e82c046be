//===- TtMlirTest.cpp - Blocks sharded by hand, against tt-mlir -----------===//
//
// Source: tenstorrent/tt-mlir, test/ttmlir/Silicon/StableHLO/n300/
// auto_sharding/sdy_*_manual.mlir: blocks of models on two devices whose
// inputs are sharded by hand. Pinned like that, they send no more than what is
// said there by the shardings, one reduction after a pair of weights; and the
// optimum without pins takes no longer.
//
//===----------------------------------------------------------------------===//

#include "ModuleText.h"
#include "Plans.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace tpc;

namespace {

const char *kMesh = "\"x\" = 2";

/// Sharding by hand, or none.
std::string by(bool isManual, const char *pin) { return isManual ? pin : ""; }

/// sdy_mlp: 1024 tokens, 2048 to 8192 and back, gated.
std::string mlp(bool isManual) {
  test::ModuleText m(kMesh, "bf16");
  m.argument("x", {1, 1024, 2048}, by(isManual, "[{}, {}, {}]"));
  const char *columns = R"([{"x"}, {}])", *rows = R"([{}, {"x"}])";
  m.parameter("gate", {8192, 2048}, by(isManual, columns));
  m.parameter("up", {8192, 2048}, by(isManual, columns));
  m.parameter("down", {2048, 8192}, by(isManual, rows));
  SmallVector<int64_t> h = {1, 1024, 8192};
  for (std::string n : {"gate", "up"})
    m.op("h" + n, "matmul %x, %" + n + " \"b s e, f e -> b s f\"", {"x", n}, h);
  m.op("a", "silu %hgate", {"hgate"}, h);
  m.op("h", "mul %a, %hup", {"a", "hup"}, h);
  m.op("y", "matmul %h, %down \"b s f, e f -> b s e\"", {"h", "down"},
       {1, 1024, 2048});
  m.result("y");
  return m.str();
}

struct Attention {
  int64_t batch, length, keyHeads, group, head;
  /// Of layers: width of the input, and whether positions are turned.
  int64_t hidden = 0;
  bool hasRope = false;
  bool splitsBatch = false;

  SmallVector<int64_t> query() const {
    return {batch, length, keyHeads, group, head};
  }
  SmallVector<int64_t> keys() const { return {batch, length, keyHeads, head}; }
};

/// sdy_*_sdpa: query, key, value and a mask are given, by heads or by batch.
std::string heads(const Attention &a, bool isManual) {
  test::ModuleText m(kMesh, "bf16");
  const char *query = a.splitsBatch ? R"([{"x"}, {}, {}, {}, {}])"
                                    : R"([{}, {}, {"x"}, {}, {}])";
  const char *keys =
      a.splitsBatch ? "[{}, {}, {}, {}]" : R"([{}, {}, {"x"}, {}])";
  m.argument("q", a.query(), by(isManual, query));
  m.argument("k", a.keys(), by(isManual, keys));
  m.argument("v", a.keys(), by(isManual, keys));
  m.op("y", "attention %q, %k, %v scale 0.125 causal", {"q", "k", "v"},
       a.query());
  m.result("y");
  return m.str();
}

/// sdy_minimal_attn, sdy_llama_attn_prefill: projections, attention, output.
std::string layer(const Attention &a, bool isManual) {
  test::ModuleText m(kMesh, "bf16");
  SmallVector<int64_t> x = {a.batch, a.length, a.hidden};
  m.argument("x", x, by(isManual, "[{}, {}, {}]"));
  const char *keys = R"([{}, {"x"}, {}])";
  m.parameter("wq", {a.hidden, a.keyHeads, a.group, a.head},
              by(isManual, R"([{}, {"x"}, {}, {}])"));
  m.parameter("wk", {a.hidden, a.keyHeads, a.head}, by(isManual, keys));
  m.parameter("wv", {a.hidden, a.keyHeads, a.head}, by(isManual, keys));
  m.parameter("wo", {a.keyHeads, a.group, a.head, a.hidden},
              by(isManual, R"([{"x"}, {}, {}, {}])"));
  m.op("q", "matmul %x, %wq \"b s e, e k g d -> b s k g d\"", {"x", "wq"},
       a.query());
  for (std::string n : {"k", "v"})
    m.op(n, "matmul %x, %w" + n + " \"b s e, e k d -> b s k d\"",
         {"x", "w" + n}, a.keys());
  std::string q = "q", k = "k";
  if (a.hasRope) {
    m.argument("positions", {a.batch, a.length}, "", "i64");
    m.argument("frequencies", {a.head / 2}, "", "f32");
    const char *rest = ", %positions, %frequencies scale 1.0";
    m.op("qr", std::string("rope halves %q") + rest,
         {"q", "positions", "frequencies"}, a.query());
    m.op("kr", std::string("rope halves %k") + rest,
         {"k", "positions", "frequencies"}, a.keys());
    q = "qr";
    k = "kr";
  }
  m.op("c", "attention %" + q + ", %" + k + ", %v scale 0.125 causal",
       {q, k, "v"}, a.query());
  m.op("y", "matmul %c, %wo \"b s k g d, k g d e -> b s e\"", {"c", "wo"}, x);
  m.result("y");
  return m.str();
}

struct Case {
  const char *name;
  std::string (*text)(bool isManual);
  /// Of the sharding by hand.
  int collectives;
};
void PrintTo(const Case &c, std::ostream *os) { *os << c.name; }

class TtMlir : public testing::TestWithParam<Case> {};

TEST_P(TtMlir, TakesNoLongerThanByHand) {
  AssignOptions options;
  options.machine = *findMachine("h100");
  test::Plan manual = test::planOf(GetParam().text(true), options);
  EXPECT_EQ(manual.count(), GetParam().collectives) << manual.str();
  test::Plan found = test::planOf(GetParam().text(false), options);
  EXPECT_EQ(found.priced.assignment.search->gap, 0);
  EXPECT_LE(found.priced.micros, manual.priced.micros + 1e-6);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, TtMlir,
    testing::Values(
        Case{"mlp", mlp, 1},
        Case{"minimal_attn",
             [](bool m) { return layer({2, 128, 8, 1, 64, 512}, m); }, 1},
        Case{"llama_attn_prefill",
             [](bool m) { return layer({1, 1024, 8, 4, 64, 2048, true}, m); },
             1},
        Case{"llama_sdpa", [](bool m) { return heads({1, 1024, 8, 4, 64}, m); },
             0},
        Case{"mistral_sdpa",
             [](bool m) { return heads({1, 1024, 8, 4, 128}, m); }, 0},
        Case{"qwen3_sdpa",
             [](bool m) { return heads({1, 1024, 8, 2, 128}, m); }, 0},
        Case{"gemma_sdpa",
             [](bool m) {
               return heads({2, 1024, 1, 8, 256, 0, false, true}, m);
             },
             0}),
    [](const auto &info) { return std::string(info.param.name); });

} // namespace
