//===- Differentiable.cpp - Operations with a gradient --------------------===//

#include "tpc/Interfaces/Differentiable.h"

#include "tpc/Interfaces/Differentiable.cpp.inc"
