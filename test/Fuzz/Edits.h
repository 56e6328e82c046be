// What a fuzzer's input means here: edits of a good file. So most of what is
// tried passes the first checks and reaches the later ones.
#ifndef TPC_TEST_FUZZ_EDITS_H
#define TPC_TEST_FUZZ_EDITS_H

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

/// Applies edits of four bytes each: what to do, where (two bytes), with what.
inline std::vector<uint8_t> edited(std::vector<uint8_t> file,
                                   const uint8_t *edits, size_t size) {
  static constexpr uint64_t words[] = {0,
                                       1,
                                       0x7fffffff,
                                       0x80000000,
                                       0xffffffff,
                                       uint64_t(1) << 62,
                                       uint64_t(1) << 63,
                                       ~uint64_t(0)};
  for (; size >= 4 && !file.empty(); edits += 4, size -= 4) {
    size_t at = (edits[1] << 8 | edits[2]) % file.size();
    uint8_t value = edits[3];
    uint64_t word = words[value % 8];
    size_t left = file.size() - at;
    switch (edits[0] % 5) {
    case 0:
      file[at] = value;
      break;
    case 1:
      file.insert(file.begin() + at, value);
      break;
    case 2:
      file.erase(file.begin() + at,
                 file.begin() + at + std::min<size_t>(left, value));
      break;
    case 3:
      std::memcpy(file.data() + at, &word, std::min<size_t>(left, 4));
      break;
    case 4:
      std::memcpy(file.data() + at, &word, std::min<size_t>(left, 8));
      break;
    }
  }
  return file;
}

#endif // TPC_TEST_FUZZ_EDITS_H
