//===- AlpaTrainingTest.cpp - Training steps, against Alpa ----------------===//
//
// Source: alpa-projects/alpa, tests/shard_parallel/test_mlp.py and
// test_bert.py: what the collectives of a training step are, forward and
// backward, on four devices. There computation is split everywhere and
// communication costs its bytes; so it is here. An optimizer sends nothing, as
// gradients are held like parameters, and is left out, as is dropout.
//
//===----------------------------------------------------------------------===//

#include "ModuleText.h"
#include "Plans.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace tpc;

namespace {

constexpr double kF32 = 4;
constexpr int kDevices = 4;
const char *kMesh = "\"x\" = 4";

std::string numbered(const char *name, int i) {
  return name + std::to_string(i);
}

double allReduce(double bytes) {
  return sentBytes(CollectiveKind::AllReduce, bytes, kDevices);
}

test::Plan planOf(const test::ModuleText &m) {
  AssignOptions options;
  options.machine = test::splittingMachine();
  return test::planOf(test::trained(m.str()), options);
}

const char *kTwoAxes = "\"x\" = 2, \"y\" = 2";

/// On 2 x 2 devices; the columns are joined by links `speed` times as fast.
test::Plan planOnTwoAxes(const test::ModuleText &m, double speed = 10) {
  AssignOptions options;
  options.machine = test::splittingMachine();
  Link fast = options.machine.links[0];
  fast.name = "fast";
  fast.devices = 2;
  fast.algorithms[0].bytesPerMicro *= speed;
  options.machine.links.insert(options.machine.links.begin(), fast);
  return test::planOf(test::trained(m.str()), options);
}

/// Time of an all_reduce between two on the slower links.
double reducedByTwo(double bytes) {
  return sentBytes(CollectiveKind::AllReduce, bytes, 2) / 1000;
}

/// loss = sum (value - label)^2
void addSquaredLoss(test::ModuleText &m, const std::string &value,
                    ArrayRef<int64_t> shape) {
  m.argument("label", shape);
  m.op("error", "sub %" + value + ", %label", {value, "label"}, shape);
  m.op("square", "mul %error, %error", {"error", "error"}, shape);
  std::string dims;
  for (size_t i = 0; i < shape.size(); ++i)
    dims += (i ? ", " : "") + std::to_string(i);
  m.op("loss", "reduce sum %square dims [" + dims + "]", {"square"}, {});
  m.result("loss");
}

/// `layers` products with bias, and relu between them.
test::ModuleText mlp(int layers, int64_t batch, int64_t size,
                     const char *mesh = kMesh) {
  test::ModuleText m(mesh);
  SmallVector<int64_t> x = {batch, size};
  m.argument("x", x);
  m.constant("zero", "0.0", x);
  std::string value = "x";
  for (int i = 0; i < layers; ++i) {
    std::string w = numbered("w", i), b = numbered("b", i),
                h = numbered("h", i), a = numbered("a", i);
    m.parameter(w, {size, size});
    m.parameter(b, {size});
    m.op(h, "linear %" + value + ", %" + w + ", %" + b + " \"b e, e f -> b f\"",
         {value, w, b}, x);
    value = h;
    if (i + 1 < layers) {
      m.op(a, "max %" + h + ", %zero", {h, "zero"}, x);
      value = a;
    }
  }
  addSquaredLoss(m, value, x);
  return m;
}

/// test_n_layer_mlp_model_parallel: one all_reduce of activations for each
/// layer but one; weights by columns and rows in turn.
TEST(AlpaTraining, MlpOfWideLayers) {
  constexpr int kLayers = 6, kBatch = 32, kSize = 256;
  test::Plan plan = planOf(mlp(kLayers, kBatch, kSize));
  EXPECT_EQ(plan.count(kBatch * kSize / kDevices), kLayers - 1) << plan.str();
  EXPECT_LE(plan.bytes, (kLayers - 1) * allReduce(kBatch * kSize * kF32) * 1.01)
      << plan.str();
  for (int i = 0; i < kLayers; ++i)
    EXPECT_EQ(plan.stored(numbered("w", i)),
              i % 2 ? "[{\"x\"}, {}]" : "[{}, {\"x\"}]");
}

/// test_n_layer_mlp_data_parallel: the gradients of all parameters are reduced,
/// nothing else.
TEST(AlpaTraining, MlpOfManyRows) {
  constexpr int kLayers = 6, kBatch = 256, kSize = 32;
  test::Plan plan = planOf(mlp(kLayers, kBatch, kSize));
  double parameters = kLayers * (kSize * kSize + kSize) * kF32;
  EXPECT_LE(plan.bytes, allReduce(parameters) * 1.01) << plan.str();
}

/// test_n_layer_mlp_2d_mesh: 2 x 2 devices, columns joined by links ten times
/// as fast. Rows reduce gradients, columns activations.
TEST(AlpaTraining, MlpOnTwoAxes) {
  constexpr int kLayers = 6, kBatch = 256, kSize = 32;
  test::Plan plan = planOnTwoAxes(mlp(kLayers, kBatch, kSize, kTwoAxes));
  EXPECT_EQ(plan.priced.assignment.search->gap, 0);
  double theirs = kLayers * (reducedByTwo(kSize * kSize * kF32 / 2) +
                             reducedByTwo(kSize * kF32)) +
                  (kLayers - 1) * reducedByTwo(kBatch * kSize * kF32 / 2) / 10;
  EXPECT_LE(plan.priced.communicationMicros, theirs * 1.01) << plan.str();
}

struct Bert {
  int layers;
  int64_t batch, length, hidden, heads;

  int64_t layerParameters() const { return (12 * hidden + 13) * hidden; }
};

/// Layers of BERT on `value`; returns the last one's.
std::string addBertLayers(test::ModuleText &m, const Bert &bert,
                          std::string value) {
  int64_t head = bert.hidden / bert.heads, wide = 4 * bert.hidden;
  SmallVector<int64_t> x = {bert.batch, bert.length, bert.hidden};
  auto linear = [&](const std::string &name, const std::string &from,
                    const char *equation, ArrayRef<int64_t> weight,
                    ArrayRef<int64_t> bias, ArrayRef<int64_t> shape) {
    m.parameter("w" + name, weight);
    m.parameter("b" + name, bias);
    m.op(name,
         "linear %" + from + ", %w" + name + ", %b" + name + " \"" + equation +
             "\"",
         {from, "w" + name, "b" + name}, shape);
  };
  auto normOfSum = [&](const std::string &name, const std::string &a,
                       const std::string &b) {
    m.parameter("g" + name, {bert.hidden});
    m.parameter("s" + name, {bert.hidden});
    m.op("r" + name, "add %" + a + ", %" + b, {a, b}, x);
    m.op(name,
         "layer_norm %r" + name + ", %g" + name + ", %s" + name +
             " epsilon 1.0e-5",
         {"r" + name, "g" + name, "s" + name}, x);
  };
  m.argument("lengths", {bert.batch}, "", "i64");
  for (int i = 0; i < bert.layers; ++i) {
    std::string q = numbered("q", i), k = numbered("k", i),
                v = numbered("v", i), c = numbered("c", i),
                o = numbered("o", i), n = numbered("n", i),
                up = numbered("up", i), a = numbered("a", i),
                down = numbered("down", i), out = numbered("out", i);
    linear(q, value, "b s e, e h g d -> b s h g d",
           {bert.hidden, bert.heads, 1, head}, {bert.heads, 1, head},
           {bert.batch, bert.length, bert.heads, 1, head});
    for (const std::string &name : {k, v})
      linear(name, value, "b s e, e h d -> b s h d",
             {bert.hidden, bert.heads, head}, {bert.heads, head},
             {bert.batch, bert.length, bert.heads, head});
    m.op(c,
         "attention %" + q + ", %" + k + ", %" + v +
             " lengths %lengths scale 0.25",
         {q, k, v, "lengths"}, {bert.batch, bert.length, bert.heads, 1, head});
    linear(o, c, "b s h g d, h g d e -> b s e",
           {bert.heads, 1, head, bert.hidden}, {bert.hidden}, x);
    normOfSum(n, value, o);
    SmallVector<int64_t> h = {bert.batch, bert.length, wide};
    linear(up, n, "b s e, e f -> b s f", {bert.hidden, wide}, {wide}, h);
    m.op(a, "gelu erf %" + up, {up}, h);
    linear(down, a, "b s f, f e -> b s e", {wide, bert.hidden}, {bert.hidden},
           x);
    normOfSum(out, n, down);
    value = out;
  }
  return value;
}

/// test_bert_layer_model_parallel: four all_reduces of activations for each
/// layer, less one; attention by heads, the rest by columns and rows.
TEST(AlpaTraining, BertLayers) {
  Bert bert{2, 8, 8, 128, 8};
  test::ModuleText m(kMesh);
  SmallVector<int64_t> x = {bert.batch, bert.length, bert.hidden};
  m.argument("x", x);
  addSquaredLoss(m, addBertLayers(m, bert, "x"), x);
  test::Plan plan = planOf(m);
  int64_t elements = bert.batch * bert.length * bert.hidden;
  EXPECT_LE(plan.bytes,
            (4 * bert.layers - 1) * allReduce(elements * kF32) * 1.01)
      << plan.str();
  EXPECT_EQ(plan.count(elements / kDevices), 4 * bert.layers - 1) << plan.str();
}

/// test_bert_layer_data_parallel: gradients of all parameters.
TEST(AlpaTraining, BertLayersOfManyRows) {
  Bert bert{2, 64, 64, 32, 8};
  test::ModuleText m(kMesh);
  SmallVector<int64_t> x = {bert.batch, bert.length, bert.hidden};
  m.argument("x", x);
  addSquaredLoss(m, addBertLayers(m, bert, "x"), x);
  test::Plan plan = planOf(m);
  EXPECT_LE(plan.bytes,
            allReduce(bert.layers * bert.layerParameters() * kF32) * 1.01)
      << plan.str();
}

/// test_bert_layer_2d_mesh: rows reduce the gradients of all parameters,
/// columns activations: four for each layer, less one.
TEST(AlpaTraining, BertLayersOnTwoAxes) {
  Bert bert{2, 8, 8, 128, 8};
  test::ModuleText m(kTwoAxes);
  SmallVector<int64_t> x = {bert.batch, bert.length, bert.hidden};
  m.argument("x", x);
  addSquaredLoss(m, addBertLayers(m, bert, "x"), x);
  test::Plan plan = planOnTwoAxes(m);
  double elements = bert.batch * bert.length * bert.hidden;
  double theirs =
      reducedByTwo(bert.layers * bert.layerParameters() * kF32 / 2) +
      (4 * bert.layers - 1) * reducedByTwo(elements * kF32 / 2) / 10;
  EXPECT_LE(plan.priced.communicationMicros, theirs * 1.01) << plan.str();
}

/// BERT with tied embeddings and the loss of a masked language model.
test::ModuleText bertWithHead(const Bert &bert, int64_t vocabulary,
                              const char *mesh) {
  test::ModuleText m(mesh);
  SmallVector<int64_t> x = {bert.batch, bert.length, bert.hidden};
  m.argument("tokens", {bert.batch, bert.length}, "", "i64");
  m.argument("labels", {bert.batch, bert.length}, "", "i64");
  m.parameter("table", {vocabulary, bert.hidden});
  m.parameter("place", {bert.length, bert.hidden});
  m.parameter("gain", {bert.hidden});
  m.parameter("shift", {bert.hidden});
  m.op("word", "embedding %table, %tokens", {"table", "tokens"}, x);
  m.op("places", "broadcast %place dims [1, 2]", {"place"}, x);
  m.op("both", "add %word, %places", {"word", "places"}, x);
  m.op("x", "layer_norm %both, %gain, %shift epsilon 1.0e-5",
       {"both", "gain", "shift"}, x);
  std::string last = addBertLayers(m, bert, "x");
  m.parameter("dense", {bert.hidden, bert.hidden});
  m.op("head", "matmul %" + last + ", %dense \"b s e, e f -> b s f\"",
       {last, "dense"}, x);
  m.op("act", "gelu erf %head", {"head"}, x);
  m.op("logits", "matmul %act, %table \"b s e, v e -> b s v\"",
       {"act", "table"}, {bert.batch, bert.length, vocabulary});
  m.op("each", "cross_entropy %logits, %labels", {"logits", "labels"},
       {bert.batch, bert.length});
  m.op("loss", "reduce sum %each dims [0, 1]", {"each"}, {});
  m.result("loss");
  return m;
}

/// test_bert_mlm_model_parallel: with tied embeddings and the loss of a
/// language model 4 L + 4: one after the lookup, one before it in the backward,
/// two in the loss. (The test is switched off there.) Ours splits rows for some
/// operations and heads for others: more collectives, and less in them.
TEST(AlpaTraining, BertWithHead) {
  Bert bert{2, 16, 16, 128, 4};
  test::Plan plan = planOf(bertWithHead(bert, 512, kMesh));
  int64_t rows = bert.batch * bert.length, elements = rows * bert.hidden;
  EXPECT_EQ(plan.priced.assignment.search->gap, 0);
  double theirs = (4 * bert.layers + 2) * allReduce(elements * kF32) +
                  2 * allReduce(rows * kF32);
  EXPECT_LT(plan.bytes, theirs) << plan.str();
  RecordProperty("bytes", std::to_string(plan.bytes));
  RecordProperty("alpa", std::to_string(theirs));
}

/// test_bert_mlm_data_parallel: gradients of all parameters.
TEST(AlpaTraining, BertWithHeadOfManyRows) {
  Bert bert{2, 32, 32, 16, 4};
  constexpr int64_t kVocabulary = 128;
  test::Plan plan = planOf(bertWithHead(bert, kVocabulary, kMesh));
  double parameters =
      bert.layers * bert.layerParameters() +
      (kVocabulary + bert.length + 2 + bert.hidden) * bert.hidden;
  EXPECT_LE(plan.bytes, allReduce(parameters * kF32) * 1.01) << plan.str();
}

/// test_bert_mlm_2d_mesh: 4 L + 4 activations over columns, gradients over
/// rows. The count is the source's; its bytes are those of the same
/// collectives.
TEST(AlpaTraining, BertWithHeadOnTwoAxes) {
  Bert bert{2, 4, 4, 512, 4};
  constexpr int64_t kVocabulary = 4096;
  test::Plan plan = planOnTwoAxes(bertWithHead(bert, kVocabulary, kTwoAxes));
  double rows = bert.batch * bert.length, elements = rows * bert.hidden;
  double split =
      bert.layers * bert.layerParameters() + kVocabulary * bert.hidden;
  double whole = bert.hidden * bert.hidden;
  double theirs =
      reducedByTwo((split / 2 + whole) * kF32) +
      (4 * bert.layers + 2) * reducedByTwo(elements * kF32 / 2) / 10 +
      2 * reducedByTwo(rows * kF32 / 2) / 10;
  EXPECT_LE(plan.priced.communicationMicros, theirs) << plan.str();
}

/// test_embedding_2d_mesh: a table that is looked up and multiplied with. The
/// gradient of half of it over rows; over columns the looked-up rows and their
/// gradient, and two numbers for each in the loss.
TEST(AlpaTraining, EmbeddingOnTwoAxes) {
  constexpr int64_t kVocabulary = 1024, kHidden = 8, kBatch = 8, kLength = 8;
  test::ModuleText m(kTwoAxes);
  SmallVector<int64_t> tokens = {kBatch, kLength};
  m.argument("tokens", tokens, "", "i64");
  m.argument("labels", tokens, "", "i64");
  m.parameter("table", {kVocabulary, kHidden});
  m.op("x", "embedding %table, %tokens", {"table", "tokens"},
       {kBatch, kLength, kHidden});
  m.op("logits", "matmul %x, %table \"b s e, v e -> b s v\"", {"x", "table"},
       {kBatch, kLength, kVocabulary});
  m.op("each", "cross_entropy %logits, %labels", {"logits", "labels"}, tokens);
  m.op("loss", "reduce sum %each dims [0, 1]", {"each"}, {});
  m.result("loss");
  test::Plan plan = planOnTwoAxes(m, /*speed=*/1);
  double rows = kBatch * kLength;
  double theirs = reducedByTwo(kVocabulary * kHidden * kF32 / 2) +
                  2 * reducedByTwo(rows * kHidden * kF32 / 2) +
                  2 * reducedByTwo(rows * kF32 / 2);
  EXPECT_LE(plan.bytes, theirs * 1000 * 1.01) << plan.str();
}

} // namespace
