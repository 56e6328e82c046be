// Products of bf16: of few rows with AVX512_BF16, of many with AMX.
//
// AMX multiplies tiles of 16 rows of a by tiles of 16 columns of b, 32 elements
// of k at a time. b's blocks are tiles as they lie; so is a where no tile goes
// past its end, and else it is cut into tiles first. 2 x 2 tiles of c are
// summed up along k, from a's tiles and b's in the core's second cache;
// meanwhile the next block of b is brought there.
//
//   for rows that fit (kRowTiles):               a's part stays in the cache
//     for parts of k that fit (kStepTiles):
//       for blocks of b's columns:               read once from memory
//         for pairs of groups of 16 columns:
//           for pairs of tiles of rows:          along all of the part of k
//
// Sums of all but the last part of k wait in the scratch memory.
//
// Measured on 2 cores at 3.8 GHz with 2 MiB of second cache each, TFLOP/s:
// tiles alone 7.7, read from the second cache 5, with b streaming from memory
// for 128 rows 2.3, where oneDNN 2.6 reaches 1.2 (and as much as these kernels,
// within 15 %, for weights of 1 MiB). Asking for b in bursts or for every
// second line of it, asking for the lines of c, and cutting an a that can be
// read as it lies were slower.
#include "device/cpu/BlockedRows.h"
#include "device/cpu/VectorF32x16.h"

namespace tpcrt {
namespace {

struct Pairs {
  using V = F32x16;
  using Reg = V::Reg;
  static constexpr int64_t pack = 2;
  static constexpr bool asksAhead(int) { return true; }

  static Reg broadcast(const std::byte *a) {
    return V::set1(*reinterpret_cast<const float *>(a));
  }
  static Reg multiplyAdd(Reg a, Reg b, Reg c) {
    return _mm512_dpbf16_ps(c, (__m512bh)a, (__m512bh)b);
  }
};

constexpr int64_t kTileRows = 16, kTileBytes = 1024, kTileDepth = 32;
/// 256 rows of 2048 bf16 numbers are 1 MiB.
constexpr int64_t kRowTiles = 16, kStepTiles = 64;

inline int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/// Memory that is asked for little by little.
struct Ahead {
  const std::byte *at = nullptr, *end = nullptr;
  int64_t lines = 0; // at a time

  void fetch() {
    for (int64_t i = 0; i < lines && at < end; ++i, at += 64)
      _mm_prefetch(at, _MM_HINT_T0);
  }
};

struct Tiles {
  const std::byte *a; // along k; `aBytes` to the next 16 rows
  const std::byte *b; // along k; `bBytes` from row to row of a tile
  float *sums;        // [Groups][Rows] tiles; `sumBytes` to the next group
  int64_t aRowBytes, aStepBytes, aBytes, bBytes, sumBytes, steps;
  bool first; // sums start at zero
};

/// Rows x Groups tiles of c (0 to 3, 2 a group), 1 or 2 of each; 4 and 5 are of
/// a, 6 and 7 of b.
template <int Rows, int Groups>
void multiplyTiles(const Tiles &t, Ahead &ahead) {
  float *more = t.sums + t.sumBytes / 4;
  if (t.first) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  } else {
    _tile_loadd(0, t.sums, 64);
    if constexpr (Rows == 2)
      _tile_loadd(1, t.sums + kTileBytes / 4, 64);
    if constexpr (Groups == 2)
      _tile_loadd(2, more, 64);
    if constexpr (Rows == 2 && Groups == 2)
      _tile_loadd(3, more + kTileBytes / 4, 64);
  }
  const std::byte *a = t.a, *b = t.b;
  for (int64_t i = 0; i < t.steps; ++i) {
    _tile_loadd(4, a, t.aRowBytes);
    _tile_loadd(6, b, t.bBytes);
    _tile_dpbf16ps(0, 4, 6);
    ahead.fetch();
    if constexpr (Rows == 2) {
      _tile_loadd(5, a + t.aBytes, t.aRowBytes);
      _tile_dpbf16ps(1, 5, 6);
      ahead.fetch();
    }
    if constexpr (Groups == 2) {
      _tile_loadd(7, b + 64, t.bBytes);
      _tile_dpbf16ps(2, 4, 7);
      ahead.fetch();
    }
    if constexpr (Rows == 2 && Groups == 2) {
      _tile_dpbf16ps(3, 5, 7);
      ahead.fetch();
    }
    a += t.aStepBytes;
    b += kTileRows * t.bBytes;
  }
  _tile_stored(0, t.sums, 64);
  if constexpr (Rows == 2)
    _tile_stored(1, t.sums + kTileBytes / 4, 64);
  if constexpr (Groups == 2)
    _tile_stored(2, more, 64);
  if constexpr (Rows == 2 && Groups == 2)
    _tile_stored(3, more + kTileBytes / 4, 64);
}

/// A product in tiles.
class TileProduct {
public:
  explicit TileProduct(const BlockedProduct &p)
      : p(p), depth(ceilDiv(p.k, kTileDepth)), rows(ceilDiv(p.m, kTileRows)),
        parts(ceilDiv(depth, kStepTiles)), partDepth(ceilDiv(depth, parts)),
        perBlock(p.columns / kGroupColumns) {}

  /// Rows of the tiles of a and c.
  int64_t tileRows() const { return smaller(p.m, kTileRows); }

  uint64_t scratchBytes() const {
    return rowsBytes() + (parts == 1
                              ? 0
                              : ceilDiv(p.n, kGroupColumns) *
                                    smaller(rows, kRowTiles) * kTileBytes);
  }

  /// Tiles of 16 rows that are to be cut.
  int64_t rowTasks() const { return direct() ? 0 : rows; }

  /// Cuts 16 rows of a into tiles, with zeros where there is nothing.
  void prepare(int64_t tile) const {
    std::byte *to = p.scratch + tile * depth * kTileBytes;
    for (int64_t r = 0; r < kTileRows; ++r) {
      int64_t row = tile * kTileRows + r;
      const std::byte *from = p.a + row * p.aRowBytes;
      for (int64_t d = 0; d < depth; ++d) {
        int64_t count = row < p.m ? p.k - d * kTileDepth : 0;
        __mmask32 there =
            count >= kTileDepth ? ~__mmask32(0) : (__mmask32(1) << count) - 1;
        _mm512_store_si512(
            to + d * kTileBytes + r * 64,
            _mm512_maskz_loadu_epi16(there, from + d * kTileDepth * 2));
      }
    }
  }

  void multiply(int64_t begin, int64_t end) const {
    for (int64_t row = 0; row < rows; row += kRowTiles)
      for (int64_t part = 0; part < parts; ++part)
        for (int64_t group = begin; group < end;) {
          int64_t next = smaller(end, (group / perBlock + 1) * perBlock);
          multiplyBlock({row, smaller(rows, row + kRowTiles)}, part,
                        {group, next}, next < end);
          group = next;
        }
  }

private:
  struct Range {
    int64_t begin, end;
    int64_t size() const { return end - begin; }
  };

  /// Whether tiles of a are read as they lie.
  bool direct() const {
    return (p.m < kTileRows || p.m % kTileRows == 0) && p.k % kTileDepth == 0;
  }

  /// Of the scratch memory, for tiles of a.
  int64_t rowsBytes() const { return rowTasks() * depth * kTileBytes; }

  /// Where b's numbers of a block's first group lie.
  const std::byte *block(int64_t index, int64_t part) const {
    return p.b + index * p.blockBytes +
           part * partDepth * kTileRows * p.columns * 4;
  }

  /// Tiles of rows by groups of one block, along a part of k.
  void multiplyBlock(Range rowTiles, int64_t part, Range groups,
                     bool another) const {
    int64_t index = groups.begin / perBlock;
    int64_t steps = smaller(partDepth, depth - part * partDepth);
    Ahead ahead;
    if (another) {
      int64_t lines = steps * kTileRows * p.columns * 4 / 64;
      ahead.at = block(index + 1, part);
      ahead.end = ahead.at + lines * 64;
      ahead.lines = ceilDiv(lines, steps * rowTiles.size() * groups.size());
    }
    for (int64_t group = groups.begin; group < groups.end; group += 2)
      for (int64_t row = rowTiles.begin; row < rowTiles.end; row += 2) {
        Range r{row, smaller(row + 2, rowTiles.end)};
        Range g{group, smaller(group + 2, groups.end)};
        multiplyPairs(r, row - rowTiles.begin, rowTiles.size(), g, part, steps,
                      ahead);
      }
  }

  /// `at`: the rows' place among the `count` tiles of rows that share sums.
  void multiplyPairs(Range r, int64_t at, int64_t count, Range g, int64_t part,
                     int64_t steps, Ahead &ahead) const {
    alignas(64) float results[4 * kTileBytes / 4];
    bool last = part == parts - 1;
    Tiles t;
    if (direct()) {
      t.aRowBytes = p.aRowBytes;
      t.aStepBytes = 64;
      t.aBytes = p.aRowBytes * 16;
      t.a = p.a + r.begin * t.aBytes + part * partDepth * 64;
    } else {
      t.a = p.scratch + (r.begin * depth + part * partDepth) * kTileBytes;
      t.aBytes = depth * kTileBytes;
      t.aRowBytes = 64;
      t.aStepBytes = kTileBytes;
    }
    t.b = block(g.begin / perBlock, part) + g.begin % perBlock * 64;
    t.bBytes = p.columns * 4;
    t.steps = steps;
    t.first = part == 0;
    t.sums = results;
    t.sumBytes = 2 * kTileBytes;
    if (parts > 1) {
      t.sumBytes = count * kTileBytes;
      t.sums = reinterpret_cast<float *>(
          p.scratch + rowsBytes() + g.begin * t.sumBytes + at * kTileBytes);
    }
    constexpr void (*bySize[2][2])(const Tiles &, Ahead &) = {
        {multiplyTiles<1, 1>, multiplyTiles<1, 2>},
        {multiplyTiles<2, 1>, multiplyTiles<2, 2>}};
    bySize[r.size() - 1][g.size() - 1](t, ahead);
    if (!last)
      return;
    int64_t firstRow = r.begin * kTileRows, column = g.begin * kGroupColumns;
    int64_t rowCount = smaller(p.m, r.end * kTileRows) - firstRow;
    const float *second = g.size() == 2 ? t.sums + t.sumBytes / 4 : nullptr;
    for (int64_t i = 0; i < rowCount; ++i)
      finishRow(firstRow + i, column, t.sums + i * kGroupColumns,
                second ? second + i * kGroupColumns : nullptr);
  }

  /// One or two groups of a row.
  void finishRow(int64_t row, int64_t column, const float *first,
                 const float *second) const {
    using V = F32x16;
    int64_t next = column + kGroupColumns;
    if (second && p.cType == ElementType::BF16 && next + kGroupColumns <= p.n) {
      V::Reg low = finished<V>(p, V::load(first), column, kGroupColumns);
      V::Reg high = finished<V>(p, V::load(second), next, kGroupColumns);
      _mm512_storeu_si512(resultAt(p, row, column),
                          (__m512i)_mm512_cvtne2ps_pbh(high, low));
      return;
    }
    finish<V>(p, V::load(first), row, column);
    if (second)
      finish<V>(p, V::load(second), row, next);
  }

  const BlockedProduct &p;
  int64_t depth, rows;      // in tiles
  int64_t parts, partDepth; // of k
  int64_t perBlock;         // groups
};

uint64_t tileScratch(const BlockedProduct &p) {
  return TileProduct(p).scratchBytes();
}

int64_t tileTasks(const BlockedProduct &p) { return TileProduct(p).rowTasks(); }

void prepareTiles(const BlockedProduct &p, int64_t begin, int64_t end) {
  TileProduct product(p);
  for (int64_t tile = begin; tile < end; ++tile)
    product.prepare(tile);
}

void multiplyInTiles(const BlockedProduct &p, int64_t begin, int64_t end) {
  TileProduct product(p);
  struct alignas(64) {
    uint8_t palette = 1, startRow = 0, reserved[14] = {};
    uint16_t rowBytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {};
  } config;
  for (int tile = 0; tile < 8; ++tile)
    config.rows[tile] = tile < 6 ? product.tileRows() : kTileRows;
  _tile_loadconfig(&config);
  product.multiply(begin, end);
  _tile_release();
}

constexpr BlockedKernels pairs =
    BlockedRows<Pairs>::kernels("rows:avx512_bf16");
constexpr BlockedKernels tiles = {
    "tiles:amx_bf16", INT64_MAX,    /*readsOdd=*/true, tileScratch,
    tileTasks,        prepareTiles, multiplyInTiles};

} // namespace

const BlockedKernels &blockedRowsAvx512Bf16() { return pairs; }
const BlockedKernels &blockedAmx() { return tiles; }

} // namespace tpcrt
