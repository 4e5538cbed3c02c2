#include "base/buffer.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <string>

#include "base/align.h"
#include "base/error.h"

namespace atb {
namespace {

/// Buffers of this size and more take their pages from the system directly, so that freeing them gives them back.
constexpr size_t kMapBytes = size_t{1} << 20;
constexpr size_t kHugePage = size_t{2} << 20;

bool IsMapped(size_t bytes) { return bytes >= kMapBytes; }

/// Bytes of all buffers of this process.
std::atomic<uint64_t> held{0};

void RequireBeside(uint64_t bytes, uint64_t others) {
  const uint64_t limit = PhysicalMemoryBytes();
  if (others <= limit && bytes <= limit - others) return;
  throw Error("NATIVE_OUT_OF_MEMORY", std::to_string(bytes) + " bytes are needed beside " + std::to_string(others) +
                                          " held; this machine has " + std::to_string(limit));
}

/// Counts the bytes as held. One step checks and counts, so that two threads are not both given the last of them.
void Hold(uint64_t bytes) {
  uint64_t others = held.load();
  do RequireBeside(bytes, others);
  while (!held.compare_exchange_weak(others, others + bytes));
}

/// The number in a cgroup file, or the largest number when the file says "max" or does not exist.
uint64_t ReadLimit(const char* path) {
  uint64_t limit = std::numeric_limits<uint64_t>::max();
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return limit;
  // Read without streams: those take memory, and say "no limit" when there is none.
  char text[32];
  const ssize_t length = read(file, text, sizeof text);
  close(file);
  if (length > 0) std::from_chars(text, text + length, limit);
  return limit;
}

std::byte* Map(size_t bytes) {
  // Huge pages need an aligned start. So this maps more than is needed, then gives back what lies before and behind.
  const size_t slack = bytes >= kHugePage ? kHugePage : 0;
  void* mapped = mmap(nullptr, bytes + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  auto* start = static_cast<std::byte*>(mapped);
  if (slack == 0) return start;
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t before = (kHugePage - reinterpret_cast<uintptr_t>(start) % kHugePage) % kHugePage;
  const size_t used = (before + bytes + page - 1) / page * page;
  if (before > 0) munmap(start, before);
  if (used < bytes + slack) munmap(start + used, bytes + slack - used);
#ifdef MADV_HUGEPAGE
  madvise(start + before, bytes, MADV_HUGEPAGE);
#endif
  return start + before;
}

}  // namespace

uint64_t PhysicalMemoryBytes() {
  static const uint64_t bytes = [] {
    const auto pages = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES));
    const uint64_t machine = pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    const uint64_t container =
        std::min(ReadLimit("/sys/fs/cgroup/memory.max"), ReadLimit("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
    return std::min(machine, container);
  }();
  return bytes;
}

void RequireMemory(int64_t bytes) { RequireBeside(static_cast<uint64_t>(bytes), held.load()); }

Buffer::Buffer(size_t bytes, std::atomic<int64_t>* meter) {
  if (bytes == 0) return;
  Hold(bytes);
  if (IsMapped(bytes)) {
    data_ = Map(bytes);
  } else {
    data_ = static_cast<std::byte*>(::operator new(bytes, std::align_val_t{kAlignment}, std::nothrow));
    if (data_ != nullptr) std::memset(data_, 0, bytes);
  }
  if (data_ == nullptr) {
    held.fetch_sub(bytes);
    throw Error("NATIVE_OUT_OF_MEMORY", "the system does not give " + std::to_string(bytes) + " bytes");
  }
  bytes_ = bytes;
  meter_ = meter;
  if (meter_ != nullptr) meter_->fetch_add(static_cast<int64_t>(bytes_), std::memory_order_relaxed);
}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this == &other) return *this;
  Free();
  data_ = std::exchange(other.data_, nullptr);
  bytes_ = std::exchange(other.bytes_, 0);
  meter_ = std::exchange(other.meter_, nullptr);
  return *this;
}

void Buffer::Free() noexcept {
  if (data_ == nullptr) return;
  held.fetch_sub(bytes_);
  if (meter_ != nullptr) meter_->fetch_sub(static_cast<int64_t>(bytes_), std::memory_order_relaxed);
  if (IsMapped(bytes_)) {
    munmap(data_, bytes_);
  } else {
    ::operator delete(data_, std::align_val_t{kAlignment});
  }
}

}  // namespace atb
