// The C library's allocations, counted: what is defined in the executable serves all libraries of the process.

#include "allocations.h"

#include <stddef.h>
#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED 1
#endif
#endif

#if defined(__GLIBC__) && !defined(IS_SANITIZED)
#include <errno.h>

static _Thread_local long count;
static _Thread_local _Bool is_counting;

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static void note(void) {
  if (is_counting) count++;
}

void *malloc(size_t size) {
  note();
  return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
  note();
  return __libc_calloc(number, size);
}

void *realloc(void *block, size_t size) {
  note();
  return __libc_realloc(block, size);
}

void *memalign(size_t alignment, size_t size) {
  note();
  return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
  note();
  return __libc_memalign(alignment, size);
}

int posix_memalign(void **block, size_t alignment, size_t size) {
  note();
  void *taken = __libc_memalign(alignment, size);
  if (!taken) return ENOMEM;
  *block = taken;
  return 0;
}

_Bool allocations_are_counted(void) { return 1; }

void allocations_begin(void) {
  count = 0;
  is_counting = 1;
}

long allocations_end(void) {
  is_counting = 0;
  return count;
}
#else
_Bool allocations_are_counted(void) { return 0; }

void allocations_begin(void) {}

long allocations_end(void) { return 0; }
#endif
