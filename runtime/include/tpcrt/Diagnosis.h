// What the flight recordings of a failed run say together.
#ifndef TPCRT_DIAGNOSIS_H
#define TPCRT_DIAGNOSIS_H

#include "tpcrt/Error.h"

#include <string>

namespace tpcrt {

/// Reads folder/rank-*.json, as LoadOptions::flightFolder has processes write
/// them, and says for people which process is behind, in which operation. An
/// error where there are none, or one cannot be read.
Result<std::string> diagnose(const std::string &folder);

} // namespace tpcrt

#endif // TPCRT_DIAGNOSIS_H
