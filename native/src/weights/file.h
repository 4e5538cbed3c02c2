#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace atb {

/// A regular file, read by position. It is read and not mapped because a mapped file that shrinks while it is in use
/// ends the process with a signal, where reading gives an error; weights are copied into packed form anyway.
class File {
 public:
  /// Throws NATIVE_FILE_ERROR when it cannot be opened or is not a regular file.
  explicit File(std::string path);
  ~File();
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  const std::string& path() const { return path_; }
  uint64_t size() const { return size_; }  ///< As it was when the file was opened.

  /// Fills `into` from `offset`. Throws NATIVE_FILE_TRUNCATED when the file ends before, NATIVE_FILE_ERROR when the
  /// system cannot read. Any thread may call it.
  void Read(uint64_t offset, std::span<std::byte> into) const;

 private:
  std::string path_;
  int descriptor_;
  uint64_t size_ = 0;
};

}  // namespace atb
