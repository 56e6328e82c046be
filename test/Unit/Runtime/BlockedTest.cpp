// The kernels for weights in blocks of columns, those that this CPU runs,
// against plain f64 loops.
#include "device/cpu/Blocked.h"
#include "artifact/Module.h"
#include "device/cpu/CpuInfo.h"
#include "device/cpu/DeviceMemory.h"
#include "support/StridedCopy.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <random>

using namespace tpcrt;

namespace {

struct Kernels {
  const BlockedKernels *kernels;
  ElementType type;
};

std::vector<Kernels> kernelsOfThisCpu() {
  std::vector<std::string> isas = supportedIsas();
  std::vector<Kernels> result;
  if (std::ranges::count(isas, "avx512"))
    result.push_back({&blockedRowsAvx512(), ElementType::F32});
  if (hasAvx512Bf16())
    result.push_back({&blockedRowsAvx512Bf16(), ElementType::BF16});
  if (hasAmxBf16())
    result.push_back({&blockedAmx(), ElementType::BF16});
  return result;
}

struct Case {
  int64_t m, k, n;
  int64_t columns = 64;
  ElementType cType = ElementType::F32;
  bool bias = false;
  Activation activation = Activation::None;
};

/// Memory at a 64-byte boundary with these numbers.
Buffer bytesOf(const std::vector<double> &values, ElementType type) {
  Buffer buffer = *Buffer::allocate(
      std::max<size_t>(values.size(), 1) * byteSize(type), "numbers");
  copyStrided(buffer.data(), type, values.data(), ElementType::F64,
              {{values.size(), 1, 1}});
  return buffer;
}
std::vector<double> numbersOf(const Buffer &buffer, ElementType type) {
  std::vector<double> values(buffer.size() / byteSize(type));
  copyStrided(values.data(), ElementType::F64, buffer.data(), type,
              {{values.size(), 1, 1}});
  return values;
}

double activate(Activation activation, double x) {
  switch (activation) {
  case Activation::None:
    break;
  case Activation::GeluErf:
    return x * 0.5 * std::erfc(-x * M_SQRT1_2);
  case Activation::GeluTanh:
    return x * 0.5 *
           (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  case Activation::Silu:
    return x / (1 + std::exp(-x));
  case Activation::Tanh:
    return std::tanh(x);
  }
  return x;
}

/// One product: its operands, padded where strides allow it, and what is
/// expected of it.
class Product {
public:
  static constexpr double kUnwritten = -77;
  static constexpr int64_t kMore = 3; // elements after a row of a or c

  Product(const Kernels &tested, const Case &given)
      : kernels(*tested.kernels), given(given) {
    // Multiples of `unit` whose sums are exact in f32.
    double unit = given.activation == Activation::None ? 1 : 1.0 / 16;
    std::mt19937 random(given.m * 1000003 + given.k * 1009 + given.n);
    auto numbers = [&](int64_t count) {
      std::vector<double> values(count);
      for (double &value : values)
        value = (int(random() % 17) - 8) * unit;
      return values;
    };
    auto [m, k, n] = std::tuple(given.m, given.k, given.n);
    std::vector<double> a = numbers(m * k), b = numbers(k * n),
                        bias = numbers(n);
    product.type = tested.type;
    product.m = m, product.n = n, product.k = k;
    product.columns = given.columns;
    product.cType = given.cType;
    product.activation = given.activation;
    placeRows(a);
    placeBlocks(b);
    cStride = n + kMore;
    product.cRowStride = cStride;
    if (given.bias) {
      this->bias = bytesOf(bias, given.cType);
      product.bias = this->bias.data();
    }
    scratch = *Buffer::allocate(kernels.scratchBytes(product) + 64, "scratch");
    product.scratch = scratch.data();
    for (int64_t row = 0; row < m; ++row)
      for (int64_t column = 0; column < n; ++column) {
        double sum = given.bias ? bias[column] : 0;
        for (int64_t i = 0; i < k; ++i)
          sum += a[row * k + i] * b[i * n + column];
        sums.push_back(sum);
      }
  }

  /// The result, computed in ranges of so many groups of columns.
  std::vector<double> run(int64_t groupsAtOnce) {
    Buffer c = bytesOf(std::vector<double>(given.m * cStride, kUnwritten),
                       given.cType);
    product.c = c.data();
    if (int64_t tasks = kernels.prepareTasks(product))
      kernels.prepare(product, 0, tasks);
    int64_t groups = (given.n + kGroupColumns - 1) / kGroupColumns;
    for (int64_t at = 0; at < groups; at += groupsAtOnce)
      kernels.multiply(product, at, std::min(groups, at + groupsAtOnce));
    std::vector<double> result = numbersOf(c, given.cType);
    result.resize(given.m * cStride);
    return result;
  }

  void check(const std::vector<double> &result) const {
    double rounding = given.cType == ElementType::BF16  ? 1.0 / 256
                      : given.cType == ElementType::F16 ? 1.0 / 2048
                                                        : 0;
    for (int64_t row = 0; row < given.m; ++row)
      for (int64_t column = 0; column < cStride; ++column) {
        double found = result[row * cStride + column];
        if (column >= given.n) {
          ASSERT_EQ(found, kUnwritten) << "past the end of row " << row;
          continue;
        }
        double sum = sums[row * given.n + column];
        double expected = activate(given.activation, sum);
        double error = given.activation == Activation::None
                           ? 0
                           : 1e-6 * std::max(std::abs(sum), 1.0);
        ASSERT_NEAR(found, expected, std::abs(expected) * rounding + error)
            << "row " << row << ", column " << column;
      }
  }

private:
  void placeRows(const std::vector<double> &values) {
    int64_t stride = (given.k + kMore) / 2 * 2, k = given.k;
    // What follows an odd k is a zero where the kernels read it.
    std::vector<double> rows(given.m * stride, NAN);
    for (int64_t row = 0; row < given.m; ++row) {
      std::copy_n(&values[row * k], k, &rows[row * stride]);
      if (k % 2 && !kernels.readsOdd)
        rows[row * stride + k] = 0;
    }
    a = bytesOf(rows, product.type);
    product.a = a.data();
    product.aRowBytes = stride * byteSize(product.type);
  }

  void placeBlocks(const std::vector<double> &values) {
    int64_t pack = 4 / byteSize(product.type), columns = given.columns;
    int64_t rows = (given.k + 31) / 32 * 32;
    std::vector<double> blocks((given.n + columns - 1) / columns * columns *
                               rows);
    for (int64_t i = 0; i < given.k; ++i)
      for (int64_t j = 0; j < given.n; ++j)
        blocks[j / columns * columns * rows +
               (i / pack * columns + j % columns) * pack + i % pack] =
            values[i * given.n + j];
    b = bytesOf(blocks, product.type);
    product.b = b.data();
    product.blockBytes = columns * rows * byteSize(product.type);
  }

  const BlockedKernels &kernels;
  Case given;
  BlockedProduct product;
  Buffer a, b, bias, scratch;
  int64_t cStride = 0;
  std::vector<double> sums;
};

/// Whatever ranges the columns are computed in, the result is the same, bit by
/// bit, and right.
void check(const Case &given) {
  for (const Kernels &tested : kernelsOfThisCpu()) {
    if (given.m > tested.kernels->maxRows)
      continue;
    SCOPED_TRACE(testing::Message()
                 << tested.kernels->name << ", m " << given.m << ", k "
                 << given.k << ", n " << given.n << ", blocks of "
                 << given.columns << ", " << typeName(given.cType) << ", "
                 << activationName(given.activation));
    Product product(tested, given);
    std::vector<double> whole = product.run(1 << 20);
    product.check(whole);
    for (int64_t groupsAtOnce : {1, 3})
      EXPECT_EQ(product.run(groupsAtOnce), whole);
  }
}

TEST(Blocked, FewRows) {
  for (int64_t m : {1, 2, 3, 4, 5})
    for (int64_t k : {1, 2, 7, 32, 65, 300})
      for (int64_t n : {1, 15, 16, 33, 64, 130})
        check({m, k, n});
}

TEST(Blocked, ManyRows) {
  for (int64_t m : {8, 15, 16, 17, 31, 32, 47, 64, 65})
    for (int64_t k : {31, 32, 33, 96})
      for (int64_t n : {16, 40, 64, 200})
        check({m, k, n});
}

TEST(Blocked, BlocksOfAllWidths) {
  for (int64_t columns : {16, 32, 48, 64})
    for (int64_t m : {1, 4, 20, 32})
      for (int64_t n : {columns - 1, columns, 3 * columns + 5})
        check({m, 64, n, columns});
}

/// More rows, and a longer k, than are multiplied at once.
TEST(Blocked, Large) {
  check({300, 96, 70});
  check({1, 4101, 40});
  for (int64_t m : {7, 20, 272})
    for (int64_t k : {2080, 4101})
      check({m, k, 50});
}

TEST(Blocked, ResultsOfAllTypes) {
  for (ElementType type :
       {ElementType::F32, ElementType::BF16, ElementType::F16})
    for (Activation activation :
         {Activation::None, Activation::GeluErf, Activation::GeluTanh,
          Activation::Silu, Activation::Tanh})
      for (bool bias : {false, true})
        for (int64_t m : {1, 3, 35})
          check({m, 50, 75, 64, type, bias, activation});
}

TEST(Blocked, ActivationsAtTheEnds) {
  for (const Kernels &tested : kernelsOfThisCpu())
    for (auto [activation, high, low] :
         {std::tuple(Activation::GeluErf, 1e4, 0.0),
          {Activation::GeluTanh, 1e4, 0.0},
          {Activation::Silu, 1e4, 0.0},
          {Activation::Tanh, 1.0, -1.0}}) {
      // The sums are the bias: 1e4, -1e4, and no number.
      float bias[16] = {1e4, -1e4, NAN}, c[16] = {};
      Buffer zeros = *Buffer::allocate(1 << 16, "zeros");
      BlockedProduct product;
      product.type = tested.type;
      product.m = 1, product.n = 16, product.k = 32;
      product.a = product.b = zeros.data();
      product.columns = 16;
      product.c = reinterpret_cast<std::byte *>(c);
      product.bias = reinterpret_cast<std::byte *>(bias);
      product.activation = activation;
      product.scratch = zeros.data();
      tested.kernels->multiply(product, 0, 1);
      EXPECT_EQ(c[0], high) << tested.kernels->name;
      EXPECT_EQ(c[1], low) << tested.kernels->name;
      EXPECT_TRUE(std::isnan(c[2])) << tested.kernels->name;
      EXPECT_EQ(c[3], 0) << tested.kernels->name;
    }
}

/// Blocks are recognized where our formula finds oneDNN's numbers.
TEST(Blocked, RecognizesBlocks) {
  dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  using Tag = dnnl::memory::format_tag;
  using Type = dnnl::memory::data_type;
  constexpr int64_t k = 37, n = 100;
  for (auto [tag, type] : {std::pair(Tag::BA16a64b, Type::f32),
                           {Tag::BA16a32b, Type::f32},
                           {Tag::BA16a16b, Type::f32},
                           {Tag::BA16a64b2a, Type::bf16},
                           {Tag::BA16a48b2a, Type::bf16},
                           {Tag::BA16a16b2a, Type::bf16}}) {
    dnnl::memory::desc desc({k, n}, type, tag);
    std::optional<BlockedWeights> blocks = asBlocked(desc);
    ASSERT_TRUE(blocks);
    ElementType element =
        type == Type::f32 ? ElementType::F32 : ElementType::BF16;
    std::vector<double> values(k * n);
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = i % 251;
    Buffer plain = bytesOf(values, element);
    Buffer packed = *Buffer::allocate(desc.get_size(), "packed");
    dnnl::memory from({{k, n}, type, Tag::ab}, engine, plain.data());
    dnnl::memory to(desc, engine, packed.data());
    dnnl::reorder(from, to).execute(stream, from, to);
    std::vector<double> found = numbersOf(packed, element);
    int64_t pack = 4 / byteSize(element), columns = blocks->columns;
    for (int64_t i = 0; i < k; ++i)
      for (int64_t j = 0; j < n; ++j)
        ASSERT_EQ(found[j / columns * (blocks->blockBytes / byteSize(element)) +
                        (i / pack * columns + j % columns) * pack + i % pack],
                  values[i * n + j]);
  }
  EXPECT_FALSE(asBlocked({{k, n}, Type::f32, Tag::ab}));
  EXPECT_FALSE(asBlocked({{k, n}, Type::f32, Tag::ba}));
  EXPECT_FALSE(asBlocked({{k, n}, Type::bf16, Tag::BA16a64b}));
  EXPECT_FALSE(asBlocked({{2, k, n}, Type::f32, Tag::aBc16b}));
}

} // namespace
