// What reading memory takes at least: all threads sum up their part of a
// buffer, as a decode step reads its weights.
//
//   read BYTES THREADS    speaks the protocol of worker.py, with the case
//   "read"
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <immintrin.h>
#include <iostream>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <vector>

__attribute__((target("avx2"))) static uint64_t sum(const char *data,
                                                    size_t size) {
  __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
  auto at = [&](size_t i) __attribute__((target("avx2"))) {
    return _mm256_load_si256(reinterpret_cast<const __m256i *>(data + i));
  };
  for (size_t i = 0; i + 128 <= size; i += 128) {
    a = _mm256_add_epi64(a, at(i));
    b = _mm256_add_epi64(b, at(i + 32));
    c = _mm256_add_epi64(c, at(i + 64));
    d = _mm256_add_epi64(d, at(i + 96));
  }
  a = _mm256_add_epi64(_mm256_add_epi64(a, b), _mm256_add_epi64(c, d));
  return _mm256_extract_epi64(a, 0) + _mm256_extract_epi64(a, 3);
}

static double readOnce(const char *data, size_t size, unsigned threads) {
  auto start = std::chrono::steady_clock::now();
  size_t part = size / threads / 4096 * 4096;
  std::vector<uint64_t> sums(threads);
  std::vector<std::thread> team;
  for (unsigned t = 1; t < threads; ++t)
    team.emplace_back([&, t] { sums[t] = sum(data + t * part, part); });
  sums[0] = sum(data, part);
  for (std::thread &thread : team)
    thread.join();
  std::chrono::duration<double, std::milli> elapsed =
      std::chrono::steady_clock::now() - start;
  volatile uint64_t keep = sums[0];
  (void)keep;
  return elapsed.count();
}

int main(int argc, char **argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: read BYTES THREADS\n");
    return 2;
  }
  size_t size = std::strtoull(argv[1], nullptr, 10);
  unsigned threads = std::atoi(argv[2]);
  auto *data = static_cast<char *>(mmap(nullptr, size, PROT_READ | PROT_WRITE,
                                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (data == MAP_FAILED || threads == 0) {
    std::fprintf(stderr, "read: no memory of %zu bytes, or no threads\n", size);
    return 1;
  }
  madvise(data, size, MADV_HUGEPAGE);
  std::memset(data, 1, size);
  std::cout << R"({"ready": {"bytes": )" << size << R"(}, "outputs": {}})"
            << std::endl;
  std::string line;
  while (std::getline(std::cin, line)) {
    size_t at = line.find("\"reps\":");
    int reps = at == std::string::npos ? 1 : std::atoi(line.c_str() + at + 7);
    std::cout << R"({"ms": [)";
    for (int i = 0; i < reps; ++i)
      std::cout << (i ? ", " : "") << readOnce(data, size, threads);
    std::cout << "]}" << std::endl;
  }
}
