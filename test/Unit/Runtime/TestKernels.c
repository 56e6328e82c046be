// Kernels for the runtime's tests. A tile is one element, unless said
// otherwise.
#include <stdint.h>

#define KERNEL __attribute__((visibility("default")))

// out = x + y, f32
KERNEL void add(void **buffers, int64_t begin, int64_t end) {
  const float *x = buffers[0], *y = buffers[1];
  float *out = buffers[2];
  for (int64_t i = begin; i < end; ++i)
    out[i] = x[i] + y[i];
}

// out = x * scalar, f32 times an i64 scalar
KERNEL void scale(void **buffers, int64_t begin, int64_t end) {
  const float *x = buffers[0];
  const int64_t *scalar = buffers[1];
  float *out = buffers[2];
  for (int64_t i = begin; i < end; ++i)
    out[i] = x[i] * (float)*scalar;
}

// state += x; out = state, f32
KERNEL void accumulate(void **buffers, int64_t begin, int64_t end) {
  const float *x = buffers[0];
  float *state = buffers[1], *out = buffers[2];
  for (int64_t i = begin; i < end; ++i)
    out[i] = state[i] += x[i];
}

// out[i] = 1 + end - begin for every tile i: shows how tiles were divided.
KERNEL void rangeSize(void **buffers, int64_t begin, int64_t end) {
  float *out = buffers[0];
  for (int64_t i = begin; i < end; ++i)
    out[i] = (float)(1 + end - begin);
}

// Keeps the core busy for as many rounds as the i64 scalar says.
KERNEL void spin(void **buffers, int64_t begin, int64_t end) {
  const int64_t *rounds = buffers[0];
  for (volatile int64_t i = 0; i < *rounds; ++i)
    ;
}
