#include "device/cpu/GroupedMatmul.h"

#include "support/Fail.h"
#include "support/StridedCopy.h"

#include <algorithm>
#include <atomic>
#include <cstring>

using namespace tpcrt;

namespace {

/// A panel of about this many columns is work for one thread, and stays in its
/// cache while the rows pass.
constexpr uint64_t kPanelColumns = 256;
/// Up to so many rows of a panel our own kernels are the faster ones.
constexpr uint64_t kBlockedRows = 32;
/// Rows for which there are primitives.
constexpr uint64_t kRowCounts[] = {64, 56, 48, 40, 32, 24, 16,
                                   12, 8,  6,  4,  3,  2,  1};

uint64_t ceilDiv(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

/// Rows of one matrix, as a range of the rows sorted by matrix.
struct Task {
  uint64_t matrix, begin, end;
};

} // namespace

//===----------------------------------------------------------------------===//
// Planning
//===----------------------------------------------------------------------===//

Result<GroupedMatmul> GroupedMatmul::create(const GroupedMatmulStep &step,
                                            unsigned threads,
                                            MatmulContext &context) {
  GroupedMatmul result;
  result.step = step;
  result.threads = std::max(1u, threads);
  result.engine = context.engine;
  bool empty =
      step.n == 0 || step.c == 0 || step.e == 0 || step.d == 0 || step.f == 0;
  if (!empty && step.type != ElementType::F64) {
    ThreadTeam alone(1); // every task has one thread
    try {
      bool bf16 = step.type == ElementType::BF16;
      if (!(bf16 && result.plan(ElementType::BF16, context)) &&
          !result.plan(ElementType::F32, context))
        return fail("oneDNN has no kernel for rows of {} times {} columns",
                    step.d, step.f);
    } catch (const dnnl::error &error) {
      return fail("oneDNN cannot plan the product: {} (status {})",
                  error.what(), static_cast<int>(error.status));
    }
  }
  result.placeScratch();
  return result;
}

bool GroupedMatmul::plan(ElementType type, MatmulContext &context) {
  weights.ref = step.weights;
  weights.view = {step.type, step.d, step.f, step.dStride, step.fStride};
  weights.batch = step.e;
  weights.batchStride = step.eStride;
  weights.type = type;
  uint64_t panels = ceilDiv(step.f, kPanelColumns);
  weights.panelColumns =
      panels == 1 ? step.f : ceilDiv(ceilDiv(step.f, panels), 16) * 16;
  if (step.pack) {
    packed = context.find(weights, [&](const dnnl::memory::desc &panel) {
      return planProducts(panel);
    });
    if (packed >= 0)
      return true;
  }
  if (!planProducts({{int64_t(step.d), int64_t(weights.panelColumns)},
                     libraryType(type),
                     dnnl::memory::format_tag::any}))
    return false;
  if (step.pack) {
    packed = context.packed.size();
    context.packed.push_back(weights);
  }
  return true;
}

/// Primitives for panels of this format, of which the one for most rows chooses
/// where it is open: every step that shares the weights then finds the same.
bool GroupedMatmul::planProducts(const dnnl::memory::desc &panel) {
  products.clear();
  scratchpadBytes = 0;
  weights.desc = panel;
  for (uint64_t rows : kRowCounts) {
    auto dense = [&](uint64_t columns) {
      return dnnl::memory::desc({int64_t(rows), int64_t(columns)},
                                libraryType(weights.type),
                                dnnl::memory::format_tag::ab);
    };
    Product product{rows, dense(step.d), dense(weights.panelColumns), {}};
    auto found = findProduct(engine, product.a, weights.desc, product.c);
    if (!found) {
      if (rows == kRowCounts[0])
        return false;
      continue;
    }
    weights.desc = found->weights_desc();
    // More rows than there are need no primitive; only the format.
    if (!products.empty() && products.back().rows >= 2 * step.n * step.c)
      products.pop_back();
    product.primitive = dnnl::matmul(*found);
    if (products.empty())
      name = found->impl_info_str();
    scratchpadBytes =
        std::max(scratchpadBytes, found->scratchpad_desc().get_size());
    products.push_back(std::move(product));
  }
  return true;
}

const BlockedKernels *
GroupedMatmul::blockedKernels(uint64_t rows, BlockedProduct &product) const {
  std::optional<BlockedWeights> blocks = asBlocked(weights.desc);
  const BlockedKernels *kernels = chooseBlockedKernels(weights.type, rows);
  int64_t rowBytes = step.d * byteSize(weights.type);
  if (rows > kBlockedRows || !blocks || !kernels || rowBytes % 4 != 0)
    return nullptr;
  product.type = product.cType = weights.type;
  product.m = rows, product.k = step.d;
  product.n = product.cRowStride = weights.panelColumns;
  product.aRowBytes = rowBytes;
  product.columns = blocks->columns;
  product.blockBytes = blocks->blockBytes;
  return kernels;
}

uint64_t GroupedMatmul::maxTasks() const {
  uint64_t rows = step.n * step.c;
  return std::min(rows, step.e + rows / kTaskRows);
}

void GroupedMatmul::placeScratch() {
  auto reserve = [](uint64_t &size, uint64_t bytes) {
    uint64_t offset = size;
    size += ceilDiv(bytes, 64) * 64;
    return offset;
  };
  if (products.empty())
    return;
  uint64_t element = byteSize(weights.type);
  uint64_t rowBytes = products.front().rows * element;
  orderOffset = reserve(scratchSize, step.n * step.c * sizeof(uint64_t));
  startsOffset = reserve(scratchSize, (step.e + 1) * sizeof(uint64_t));
  tasksOffset = reserve(scratchSize, maxTasks() * sizeof(Task));
  if (packed < 0)
    packOffset =
        reserve(scratchSize, weights.panels() * weights.desc.get_size());
  // A block of rows, or the dense form of a panel that is packed.
  uint64_t dense =
      packed < 0 ? step.d * weights.panelColumns * element : uint64_t(0);
  reserve(threadBytes, std::max(rowBytes * step.d, dense));
  blockOffset = reserve(threadBytes, rowBytes * weights.panelColumns);
  for (uint64_t rows = 1; rows <= products.front().rows; ++rows) {
    BlockedProduct product;
    if (const BlockedKernels *kernels = blockedKernels(rows, product))
      scratchpadBytes =
          std::max(scratchpadBytes, kernels->scratchBytes(product));
  }
  scratchpadOffset = reserve(threadBytes, scratchpadBytes);
  threadOffset = reserve(scratchSize, threads * threadBytes);
}

std::string GroupedMatmul::implementation() const { return name; }

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

namespace tpcrt {

class GroupedMatmulRun {
public:
  GroupedMatmulRun(const GroupedMatmul &matmul,
                   const GroupedMatmul::Operands &operands, std::byte *scratch,
                   const ThreadTeam &team)
      : m(matmul), step(matmul.step), operands(operands), scratch(scratch),
        team(team), order(at<uint64_t>(matmul.orderOffset)),
        starts(at<uint64_t>(matmul.startsOffset)),
        tasks(at<Task>(matmul.tasksOffset)) {}

  Result<void> run();
  void runLoops();

private:
  template <class T> T *at(uint64_t offset) {
    return reinterpret_cast<T *>(scratch + offset);
  }
  uint64_t rows() const { return step.n * step.c; }

  /// The matrix of a choice; `e` if there is none.
  uint64_t matrixOf(uint64_t choice) const {
    int64_t index =
        step.choiceType == ElementType::I32
            ? static_cast<const int32_t *>(operands.choices)[choice]
            : static_cast<const int64_t *>(operands.choices)[choice];
    return index >= 0 && uint64_t(index) < step.e ? index : step.e;
  }
  const std::byte *rowOf(uint64_t choice) const {
    uint64_t row = step.rowPerChoice ? choice : choice / step.c;
    return operands.rows + row * step.d * byteSize(step.type);
  }
  std::byte *resultOf(uint64_t choice) const {
    return operands.result + choice * step.f * byteSize(step.type);
  }

  void sortRows();
  uint64_t makeTasks(uint64_t matrix, uint64_t count);
  template <class Fn> Result<void> parallel(uint64_t count, const Fn &fn);
  Result<void> runTasks(uint64_t count, const std::byte *panels);
  void runTask(const Task &task, uint64_t panel, const std::byte *packed,
               std::byte *own);

  const GroupedMatmul &m;
  const GroupedMatmulStep &step;
  const GroupedMatmul::Operands &operands;
  std::byte *scratch;
  const ThreadTeam &team;
  uint64_t *order, *starts;
  Task *tasks;
};

} // namespace tpcrt

/// Choices by matrix, in `order`; those of matrix i begin at starts[i]. Results
/// of choices outside are set to zero.
void GroupedMatmulRun::sortRows() {
  std::fill_n(starts, step.e + 1, 0);
  for (uint64_t i = 0; i < rows(); ++i)
    if (uint64_t matrix = matrixOf(i); matrix < step.e)
      ++starts[matrix + 1];
    else
      std::memset(resultOf(i), 0, step.f * byteSize(step.type));
  for (uint64_t matrix = 0; matrix < step.e; ++matrix)
    starts[matrix + 1] += starts[matrix];
  // Filling moves each start to its end, which is where the next one started.
  for (uint64_t i = 0; i < rows(); ++i)
    if (uint64_t matrix = matrixOf(i); matrix < step.e)
      order[starts[matrix]++] = i;
  std::copy_backward(starts, starts + step.e, starts + step.e + 1);
  starts[0] = 0;
}

/// Appends the tasks of a matrix to the first `count`.
uint64_t GroupedMatmulRun::makeTasks(uint64_t matrix, uint64_t count) {
  for (uint64_t begin = starts[matrix]; begin < starts[matrix + 1];
       begin += GroupedMatmul::kTaskRows)
    tasks[count++] = {
        matrix, begin,
        std::min(begin + GroupedMatmul::kTaskRows, starts[matrix + 1])};
  return count;
}

Result<void> GroupedMatmulRun::run() {
  sortRows();
  if (m.packed >= 0) {
    uint64_t count = 0;
    for (uint64_t matrix = 0; matrix < step.e; ++matrix)
      count = makeTasks(matrix, count);
    return runTasks(count, operands.weights);
  }
  std::byte *packed = scratch + m.packOffset;
  for (uint64_t matrix = 0; matrix < step.e; ++matrix) {
    uint64_t count = makeTasks(matrix, 0);
    if (count == 0)
      continue;
    const std::byte *lies = operands.weights + int64_t(matrix) * step.eStride *
                                                   int64_t(byteSize(step.type));
    TPCRT_TRY(parallel(m.weights.panels(), [&](uint64_t panel, std::byte *own) {
      packPanel(m.engine, m.weights, lies, panel, own,
                packed + panel * m.weights.desc.get_size());
    }));
    for (uint64_t i = 0; i < count; ++i)
      tasks[i].matrix = 0; // the only one that is packed
    TPCRT_TRY(runTasks(count, packed));
  }
  return {};
}

/// Calls fn(i, the thread's scratch memory) for i in [0, count), whichever
/// thread is free next.
template <class Fn>
Result<void> GroupedMatmulRun::parallel(uint64_t count, const Fn &fn) {
  std::atomic<uint64_t> next{0};
  std::atomic<int> status{dnnl_success};
  team.parallelFor(
      std::min<uint64_t>(m.threads, count), [&](int64_t thread, int64_t) {
        std::byte *own = scratch + m.threadOffset + thread * m.threadBytes;
        try {
          for (uint64_t i; (i = next++) < count;)
            fn(i, own);
        } catch (const dnnl::error &error) {
          status = error.status;
        }
      });
  if (status != dnnl_success)
    return fail("oneDNN: a grouped product failed (status {})", int(status));
  return {};
}

Result<void> GroupedMatmulRun::runTasks(uint64_t count,
                                        const std::byte *panels) {
  uint64_t perMatrix = m.weights.panels(), bytes = m.weights.desc.get_size();
  return parallel(count * perMatrix, [&](uint64_t i, std::byte *own) {
    const Task &task = tasks[i / perMatrix];
    uint64_t panel = i % perMatrix;
    runTask(task, panel, panels + (task.matrix * perMatrix + panel) * bytes,
            own);
  });
}

/// own: a block of rows [64, d], their results [64, columns], oneDNN's scratch.
void GroupedMatmulRun::runTask(const Task &task, uint64_t panel,
                               const std::byte *packed, std::byte *own) {
  ElementType type = m.weights.type;
  uint64_t element = byteSize(type), columns = m.weights.panelColumns;
  uint64_t first = panel * columns, used = std::min(columns, step.f - first);
  std::byte *results = own + m.blockOffset;
  dnnl::stream stream(m.engine);
  dnnl::memory b(m.weights.desc, m.engine, const_cast<std::byte *>(packed));
  dnnl::memory scratchpad({{int64_t(m.scratchpadBytes)},
                           dnnl::memory::data_type::u8,
                           dnnl::memory::format_tag::a},
                          m.engine, own + m.scratchpadOffset);
  // Blocks of about the same number of rows: 70 are 35 and 35, not 64 and 6.
  uint64_t rows = task.end - task.begin;
  uint64_t block = ceilDiv(rows, ceilDiv(rows, m.products.front().rows));
  for (uint64_t begin = task.begin; begin < task.end; begin += block) {
    uint64_t count = std::min(task.end - begin, block);
    const GroupedMatmul::Product *product = &m.products.front();
    for (const GroupedMatmul::Product &smaller : m.products)
      if (smaller.rows >= count)
        product = &smaller;
    for (uint64_t i = 0; i < count; ++i)
      copyStrided(own + i * step.d * element, type, rowOf(order[begin + i]),
                  step.type, {{step.d, 1, 1}});
    BlockedProduct blocked;
    if (const BlockedKernels *kernels = m.blockedKernels(count, blocked)) {
      blocked.a = own;
      blocked.b = packed;
      blocked.c = results;
      blocked.scratch = own + m.scratchpadOffset;
      runBlocked(*kernels, blocked, ThreadTeam(1));
    } else {
      dnnl::memory a(product->a, m.engine, own);
      dnnl::memory c(product->c, m.engine, results);
      product->primitive.execute(stream, {{DNNL_ARG_SRC, a},
                                          {DNNL_ARG_WEIGHTS, b},
                                          {DNNL_ARG_DST, c},
                                          {DNNL_ARG_SCRATCHPAD, scratchpad}});
    }
    for (uint64_t i = 0; i < count; ++i)
      copyStrided(resultOf(order[begin + i]) + first * byteSize(step.type),
                  step.type, results + i * columns * element, type,
                  {{used, 1, 1}});
  }
}

/// Choice by choice; also what is empty.
void GroupedMatmulRun::runLoops() {
  team.parallelFor(rows(), [&](int64_t begin, int64_t end) {
    for (uint64_t i = begin; i < uint64_t(end); ++i) {
      uint64_t matrix = matrixOf(i);
      if (matrix == step.e) {
        std::memset(resultOf(i), 0, step.f * byteSize(step.type));
        continue;
      }
      MatmulForm form;
      form.a = {step.type, 1, step.d, int64_t(step.d), 1};
      form.b = {step.type, step.d, step.f, step.dStride, step.fStride};
      form.c = {step.type, 1, step.f, int64_t(step.f), 1};
      runSimpleMatmul(form,
                      {rowOf(i),
                       operands.weights + int64_t(matrix) * step.eStride *
                                              int64_t(byteSize(step.type)),
                       resultOf(i)});
    }
  });
}

Result<void> GroupedMatmul::run(const Operands &operands, std::byte *scratch,
                                const ThreadTeam &team) const {
  GroupedMatmulRun run(*this, operands, scratch, team);
  if (!products.empty())
    return run.run();
  run.runLoops();
  return {};
}
