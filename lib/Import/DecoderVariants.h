//===- DecoderVariants.h - What single families have ------------*- C++ -*-===//
//
// A family's `adjust` (DecoderFamily.h): reads the keys that only this family
// has, and changes the numbers and the copy of the row that is in them.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_IMPORT_DECODERVARIANTS_H
#define TPC_LIB_IMPORT_DECODERVARIANTS_H

#include "mlir/Support/LLVM.h"

namespace tpc {

class ModelConfig;
struct DecoderConfig;

using Adjust = mlir::LogicalResult(const ModelConfig &, DecoderConfig &);

Adjust adjustQwenMoe, adjustGranite, adjustSmolLm3, adjustOlmo, adjustCohere,
    adjustStableLm, adjustPhi, adjustGemma, adjustGemma2, adjustGemma3,
    adjustGpt2, adjustGptJ, adjustOpt, adjustBloom, adjustFalcon, adjustMpt,
    adjustDeepseekV3, adjustGptOss;

} // namespace tpc

#endif // TPC_LIB_IMPORT_DECODERVARIANTS_H
