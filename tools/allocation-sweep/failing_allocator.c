// An allocator that fails on purpose, for LD_PRELOAD: the n-th allocation of the addon, or all from the n-th on. Only
// calls out of the addon are counted, which has the C++ runtime inside; Node itself always gets its memory. The sweep
// steers it through a file that both map: see sweep.mjs.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/// The first bytes of the file. victim.mjs knows their order.
struct control {
  volatile int32_t armed;  ///< 1: count, and fail what is asked for.
  volatile int32_t nth;    ///< Which allocation fails; 0: none, they are only counted.
  volatile int32_t all;    ///< 1: all later ones fail, too.
  volatile int32_t count;  ///< Allocations since the counter was set to 0.
  volatile int32_t failed;
};

enum { kControlBytes = 4096 };
static struct control* control;
static uintptr_t addon_begin, addon_end;

static int note_addon(struct dl_phdr_info* info, size_t size, void* data) {
  (void)size, (void)data;
  if (!strstr(info->dlpi_name, "atb_models.node")) return 0;
  uintptr_t begin = UINTPTR_MAX, end = 0;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    if (info->dlpi_phdr[i].p_type != PT_LOAD) continue;
    const uintptr_t at = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
    if (at < begin) begin = at;
    if (at + info->dlpi_phdr[i].p_memsz > end) end = at + info->dlpi_phdr[i].p_memsz;
  }
  addon_begin = begin;
  addon_end = end;
  return 1;
}

static int must_fail(void* caller) {
  const uintptr_t at = (uintptr_t)caller;
  if (!control || !control->armed || at < addon_begin || at >= addon_end) return 0;
  const int count = __sync_add_and_fetch(&control->count, 1);
  if (control->nth == 0 || (control->all ? count < control->nth : count != control->nth)) return 0;
  __sync_add_and_fetch(&control->failed, 1);
  errno = ENOMEM;
  return 1;
}

__attribute__((constructor)) static void open_control(void) {
  const char* path = getenv("ATB_ALLOCATION_CONTROL");
  const int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
  if (fd < 0) return;
  void* mapped = mmap(0, kControlBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (mapped != MAP_FAILED) control = mapped;
}

#define CALLER __builtin_return_address(0)
#define REAL(name)                                                  \
  static __typeof__(&name) real;                                    \
  if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

void* dlopen(const char* file, int mode) {
  REAL(dlopen);
  void* library = real(file, mode);
  if (file && strstr(file, "atb_models.node")) dl_iterate_phdr(note_addon, 0);
  return library;
}

// glibc's own names of its allocator: dlsym itself allocates, so these cannot be looked up.
extern void* __libc_malloc(size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);
extern void* __libc_memalign(size_t, size_t);

void* malloc(size_t bytes) { return must_fail(CALLER) ? 0 : __libc_malloc(bytes); }
void* calloc(size_t count, size_t bytes) { return must_fail(CALLER) ? 0 : __libc_calloc(count, bytes); }
void* realloc(void* old, size_t bytes) { return must_fail(CALLER) ? 0 : __libc_realloc(old, bytes); }
void* aligned_alloc(size_t alignment, size_t bytes) { return must_fail(CALLER) ? 0 : __libc_memalign(alignment, bytes); }

int posix_memalign(void** out, size_t alignment, size_t bytes) {
  if (must_fail(CALLER)) return ENOMEM;
  *out = __libc_memalign(alignment, bytes);
  return *out ? 0 : ENOMEM;
}

void* mmap(void* at, size_t length, int protection, int flags, int fd, off_t offset) {
  REAL(mmap);
  return must_fail(CALLER) ? MAP_FAILED : real(at, length, protection, flags, fd, offset);
}

void* mmap64(void* at, size_t length, int protection, int flags, int fd, off64_t offset) {
  REAL(mmap64);
  return must_fail(CALLER) ? MAP_FAILED : real(at, length, protection, flags, fd, offset);
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*), void* argument) {
  REAL(pthread_create);
  return must_fail(CALLER) ? EAGAIN : real(thread, attributes, start, argument);
}
