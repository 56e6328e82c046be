// The C interface as a C program uses it. Returns 0, or the line that failed.
#include "tpcrt/tpcrt.h"

#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                       \
  if (!(condition))                                                            \
  return __LINE__

// `artifact` is the tests' small artifact.
int checkCApi(const void *artifact, size_t size) {
  CHECK(!tpcrt_load_memory(artifact, size - 1, NULL, 0));
  CHECK(strstr(tpcrt_last_error(), "payload"));
  CHECK(!tpcrt_load_file("/nonexistent.tpcx", NULL, 0));
  CHECK(strstr(tpcrt_last_error(), "/nonexistent.tpcx"));
  CHECK(!tpcrt_load_memory(artifact, size, "/nonexistent.safetensors", 0));
  CHECK(strstr(tpcrt_last_error(), "/nonexistent.safetensors"));

  tpcrt_executable *executable = tpcrt_load_memory(artifact, size, NULL, 1);
  CHECK(executable);
  CHECK(tpcrt_program_count(executable) == 1);
  CHECK(strcmp(tpcrt_program_name(executable, 0), "main") == 0);
  CHECK(tpcrt_program_name(executable, 1) == NULL);
  CHECK(tpcrt_port_count(executable, "main", TPCRT_INPUT) == 2);
  CHECK(tpcrt_port_count(executable, "main", TPCRT_OUTPUT) == 3);
  CHECK(tpcrt_port_count(executable, "other", TPCRT_OUTPUT) == 0);
  tpcrt_port port;
  CHECK(tpcrt_get_port(executable, "main", TPCRT_OUTPUT, 1, &port) == 0);
  CHECK(strcmp(port.name, "halves") == 0);
  CHECK(port.type == TPCRT_F32 && port.rank == 1 && port.shape[0] == 5);
  CHECK(port.bytes == 20);
  CHECK(tpcrt_get_port(executable, "main", TPCRT_OUTPUT, 3, &port) != 0);

  float x[10], y[10], sum[10], halves[5], total[10];
  for (int i = 0; i < 10; ++i)
    x[i] = (float)i, y[i] = 1.0f;
  const void *inputs[] = {x, y};
  void *outputs[] = {sum, halves, total};
  for (int run = 0; run < 2; ++run)
    CHECK(tpcrt_run(executable, "main", inputs, 2, outputs, 3) == 0);
  CHECK(sum[9] == 10.0f && total[9] == 20.0f);
  CHECK(halves[0] == 7.0f * (1 + 6));
  tpcrt_reset_states(executable);
  CHECK(tpcrt_run(executable, "main", inputs, 2, outputs, 3) == 0);
  CHECK(total[9] == 10.0f);

  CHECK(tpcrt_run(executable, "other", inputs, 2, outputs, 3) != 0);
  CHECK(tpcrt_run(executable, "main", inputs, 1, outputs, 3) != 0);
  CHECK(strstr(tpcrt_last_error(), "expected 2 inputs, found 1"));
  inputs[1] = NULL;
  CHECK(tpcrt_run(executable, "main", inputs, 2, outputs, 3) != 0);
  CHECK(strstr(tpcrt_last_error(), "NULL"));

  char *json = tpcrt_statistics_json(executable);
  CHECK(json && strstr(json, "\"arena_bytes\": 512"));
  free(json);
  tpcrt_free(executable);
  tpcrt_free(NULL);
  return 0;
}
