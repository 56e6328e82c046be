/* The C interface of the runtime. Functions that can fail return NULL or a
 * non-zero status, and tpcrt_last_error() of the same thread then says why.
 * See tpcrt/Runtime.h for the meaning of everything. */
#ifndef TPCRT_TPCRT_H
#define TPCRT_TPCRT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tpcrt_executable tpcrt_executable;

/* Numbered as in the artifact's schema. */
typedef enum tpcrt_element_type {
  TPCRT_F32,
  TPCRT_F64,
  TPCRT_BF16,
  TPCRT_F16,
  TPCRT_I32,
  TPCRT_I64,
  TPCRT_BOOL
} tpcrt_element_type;

typedef enum tpcrt_port_kind { TPCRT_INPUT, TPCRT_OUTPUT } tpcrt_port_kind;

/* Belongs to the executable that it describes. */
typedef struct tpcrt_port {
  const char *name;
  tpcrt_element_type type;
  size_t rank;
  const uint64_t *shape;
  uint64_t bytes;
} tpcrt_port;

/* The message of this thread's last failure; valid until its next. */
const char *tpcrt_last_error(void);

/* Loads an artifact. `weights` is a safetensors file or folder, or NULL.
 * `threads` 0 means one per core. */
tpcrt_executable *tpcrt_load_file(const char *path, const char *weights,
                                  unsigned threads);
tpcrt_executable *tpcrt_load_memory(const void *artifact, size_t size,
                                    const char *weights, unsigned threads);
void tpcrt_free(tpcrt_executable *executable);

size_t tpcrt_program_count(const tpcrt_executable *executable);
/* NULL if there is no such program. */
const char *tpcrt_program_name(const tpcrt_executable *executable,
                               size_t program);
size_t tpcrt_port_count(const tpcrt_executable *executable, const char *program,
                        tpcrt_port_kind kind);
/* Non-zero if there is no such port. */
int tpcrt_get_port(const tpcrt_executable *executable, const char *program,
                   tpcrt_port_kind kind, size_t index, tpcrt_port *port);

/* Runs a program. inputs[i] and outputs[i] are dense row-major tensors of the
 * type and shape of port i; the counts are the program's. */
int tpcrt_run(tpcrt_executable *executable, const char *program,
              const void *const *inputs, size_t input_count,
              void *const *outputs, size_t output_count);

/* Sets all states to zero. */
int tpcrt_reset_states(tpcrt_executable *executable);

/* Memory, load and run statistics as a JSON object; free() the result. */
char *tpcrt_statistics_json(const tpcrt_executable *executable);

#ifdef __cplusplus
}
#endif

#endif /* TPCRT_TPCRT_H */
