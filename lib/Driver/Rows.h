//===- Rows.h - Batches of token rows ---------------------------*- C++ -*-===//
//
// Rows of a batch may be padded on one side; programs take them from the left,
// with their lengths.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_DRIVER_ROWS_H
#define TPC_LIB_DRIVER_ROWS_H

#include "tpcrt/Error.h"
#include "tpcrt/HostTensor.h"

namespace tpc {

/// Where the tokens of each row lie.
struct RowSpans {
  std::vector<int64_t> begins, lengths;
};

/// Of a mask [b, s] i64 of zeros and ones; an error names the row where the
/// ones are not one run of at least one.
tpcrt::Result<RowSpans> spansOf(const tpcrt::HostTensor &mask);
/// Rows that are full.
RowSpans fullSpans(uint64_t batch, uint64_t length);

/// x [b, s, ...] with each row's span moved to the left, zeros behind it.
tpcrt::HostTensor toTheLeft(const tpcrt::HostTensor &x, const RowSpans &spans);
/// The way back.
tpcrt::HostTensor fromTheLeft(const tpcrt::HostTensor &x,
                              const RowSpans &spans);

/// What x and a tensor of this shape have in common; zeros where x has nothing.
tpcrt::HostTensor resized(const tpcrt::HostTensor &x,
                          const std::vector<uint64_t> &shape);

} // namespace tpc

#endif // TPC_LIB_DRIVER_ROWS_H
