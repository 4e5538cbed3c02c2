#include "weights/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "base/error.h"

namespace atb {
namespace {

[[noreturn]] void Fail(const std::string& path, const char* what, int error) {
  throw Error("NATIVE_FILE_ERROR", path + ": " + what + ": " + std::generic_category().message(error));
}

}  // namespace

File::File(std::string path) : path_(std::move(path)) {
  // O_NONBLOCK: opening a FIFO must not wait for a writer; regular files ignore it.
  do {
    descriptor_ = open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  } while (descriptor_ < 0 && errno == EINTR);
  if (descriptor_ < 0) Fail(path_, "cannot be opened", errno);
  struct stat status{};
  if (fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) {
    close(descriptor_);
    throw Error("NATIVE_FILE_ERROR", path_ + ": is not a regular file");
  }
  size_ = static_cast<uint64_t>(status.st_size);
#ifdef POSIX_FADV_SEQUENTIAL
  posix_fadvise(descriptor_, 0, 0, POSIX_FADV_SEQUENTIAL);
#endif
}

File::~File() { close(descriptor_); }

void File::Read(uint64_t offset, std::span<std::byte> into) const {
  constexpr size_t kLargestRead = size_t{1} << 30;  // Linux reads at most 2 GiB at once.
  while (!into.empty()) {
    const ssize_t got =
        pread(descriptor_, into.data(), std::min(into.size(), kLargestRead), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) Fail(path_, "cannot be read", errno);
    if (got == 0) {
      throw Error("NATIVE_FILE_TRUNCATED", path_ + ": ends at byte " + std::to_string(offset) + ", where " +
                                               std::to_string(into.size()) + " more are expected");
    }
    into = into.subspan(static_cast<size_t>(got));
    offset += static_cast<uint64_t>(got);
  }
}

}  // namespace atb
