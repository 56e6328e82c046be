//===- Decoder.h - Graphs of decoder models ---------------------*- C++ -*-===//

#ifndef TPC_LIB_IMPORT_DECODER_H
#define TPC_LIB_IMPORT_DECODER_H

#include "DecoderConfig.h"
#include "GraphBuilder.h"
#include "tpc/Import/HuggingFace.h"

namespace tpc {

/// Builds the entries `prefill` and `decode`, or the one that the options name,
/// which may be the loss of `step`, into the module of `graph`. Emits an error
/// when the options do not fit the model. `options.context` is given, and has
/// room for the prompt.
mlir::LogicalResult buildDecoder(GraphBuilder &graph,
                                 const DecoderConfig &config,
                                 const ImportOptions &options);

} // namespace tpc

#endif // TPC_LIB_IMPORT_DECODER_H
