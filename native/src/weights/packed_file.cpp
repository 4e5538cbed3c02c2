#include "weights/packed_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/align.h"
#include "base/error.h"
#include "base/xxh64.h"
#include "weights/file.h"
#include "weights/run_all.h"

namespace atb {
namespace {

// The file: a PackedHeader; the index, which is the key, padded to whole words, then a PackedEntry for each tensor,
// then the sum of each piece of each tensor; at the next page the tensors' bytes, each from a cache line on. All
// numbers are little-endian.

struct PackedHeader {
  char magic[8];
  uint64_t key_bytes;
  uint64_t tensors;
  uint64_t pieces;
  uint64_t file_bytes;
  uint64_t sum;  ///< Of the header without it, and of the index.
};

/// A tensor of the file.
struct PackedEntry {
  uint64_t form;
  uint64_t bytes;
};

constexpr char kMagic[8] = {'A', 'T', 'B', 'P', 'A', 'C', 'K', '1'};
constexpr int64_t kPage = 4096;

int64_t KeyBytes(uint64_t key_bytes) { return RoundUp(static_cast<int64_t>(key_bytes), 8); }

struct FilePiece {
  size_t tensor;
  int64_t begin;
  int64_t end;
  int64_t offset;  ///< In the file.
};

/// Where everything lies, from what the tensors are.
struct FileLayout {
  int64_t index_bytes = 0;
  int64_t file_bytes = 0;
  std::vector<FilePiece> pieces;

  FileLayout(std::string_view key, std::span<const StoredTensor* const> tensors) {
    for (const StoredTensor* tensor : tensors)
      index_pieces += CeilDiv(static_cast<int64_t>(tensor->bytes.size()), kPieceBytes);
    index_bytes = KeyBytes(key.size()) + static_cast<int64_t>(tensors.size() * sizeof(PackedEntry)) +
                  index_pieces * static_cast<int64_t>(sizeof(uint64_t));
    file_bytes = RoundUp(static_cast<int64_t>(sizeof(PackedHeader)) + index_bytes, kPage);
    pieces.reserve(static_cast<size_t>(index_pieces));
    for (size_t t = 0; t < tensors.size(); ++t) {
      const auto bytes = static_cast<int64_t>(tensors[t]->bytes.size());
      for (int64_t begin = 0; begin < bytes; begin += kPieceBytes)
        pieces.push_back({t, begin, std::min(begin + kPieceBytes, bytes), file_bytes + begin});
      file_bytes += Align(bytes);
    }
  }

 private:
  int64_t index_pieces = 0;
};

uint64_t SumOf(const PackedHeader& header, std::span<const std::byte> index) {
  std::vector<std::byte> all(offsetof(PackedHeader, sum));
  std::memcpy(all.data(), &header, all.size());
  all.insert(all.end(), index.begin(), index.end());
  return Xxh64(all);
}

[[noreturn]] void Unusable(const std::string& path, const std::string& why) {
  throw Error("NATIVE_PACKED_UNUSABLE", path + ": " + why);
}

/// The header and the index, if they are whole. Nothing of the numbers is trusted before the sum is right.
PackedHeader ReadIndex(const File& file, std::vector<std::byte>& index) {
  PackedHeader header;
  if (file.size() < sizeof header) Unusable(file.path(), "it ends before its header does");
  file.Read(0, {reinterpret_cast<std::byte*>(&header), sizeof header});
  if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0) Unusable(file.path(), "it is no file of packed weights");
  const uint64_t most = file.size() - sizeof header;
  const uint64_t tables = header.tensors <= most && header.pieces <= most
                              ? header.tensors * sizeof(PackedEntry) + header.pieces * sizeof(uint64_t)
                              : most + 1;
  if (header.key_bytes > kMaxKeyBytes || header.file_bytes != file.size() || tables > most ||
      static_cast<uint64_t>(KeyBytes(header.key_bytes)) > most - tables)
    Unusable(file.path(),
             "it is damaged: it has " + std::to_string(file.size()) + " bytes, and its header says otherwise");
  index.resize(static_cast<size_t>(KeyBytes(header.key_bytes)) + static_cast<size_t>(tables));
  file.Read(sizeof header, index);
  if (SumOf(header, index) != header.sum) Unusable(file.path(), "it is damaged: the sum of its index is wrong");
  return header;
}

std::string KeyOf(const PackedHeader& header, std::span<const std::byte> index) {
  return {reinterpret_cast<const char*>(index.data()), static_cast<size_t>(header.key_bytes)};
}

void ReadTensors(const File& file, const std::string& key, std::span<const PackedTensor> tensors,
                 const LoadContext& context) {
  std::vector<std::byte> index;
  const PackedHeader header = ReadIndex(file, index);
  if (KeyOf(header, index) != key)
    Unusable(file.path(), "it was made of other files, or by another build of this package");
  if (header.tensors != tensors.size()) Unusable(file.path(), "it has other tensors");
  const std::byte* at = index.data() + KeyBytes(header.key_bytes);
  std::vector<const StoredTensor*> stored;
  for (const auto& [tensor, experts, forms] : tensors) {
    PackedEntry entry;
    std::memcpy(&entry, at, sizeof entry);
    at += sizeof entry;
    if (!TakeForm(*tensor, experts, forms, entry.form, context.meter) || tensor->bytes.size() != entry.bytes)
      Unusable(file.path(), "it has other tensors");
    stored.push_back(tensor);
  }
  const FileLayout layout(key, stored);
  if (layout.pieces.size() != header.pieces || static_cast<uint64_t>(layout.file_bytes) != file.size())
    Unusable(file.path(), "it has other tensors");
  uint64_t total = 0;
  for (const StoredTensor* tensor : stored) total += tensor->bytes.size();
  Progress progress(total, context.progress);
  RunAll(static_cast<int64_t>(layout.pieces.size()), context, [&](int64_t i, int) {
    const FilePiece& piece = layout.pieces[static_cast<size_t>(i)];
    const std::span<std::byte> into(stored[piece.tensor]->bytes.data() + piece.begin,
                                    static_cast<size_t>(piece.end - piece.begin));
    file.Read(static_cast<uint64_t>(piece.offset), into);
    uint64_t sum;
    std::memcpy(&sum, at + static_cast<size_t>(i) * sizeof sum, sizeof sum);
    if (Xxh64(into) != sum)
      Unusable(file.path(), "it is damaged: the sum of " + std::to_string(into.size()) + " bytes at byte " +
                                std::to_string(piece.offset) + " is wrong");
    progress.Add(into.size());
  });
}

/// A file that is being written.
class PackedOutput {
 public:
  explicit PackedOutput(const std::string& path) : path_(path) {
    descriptor_ = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor_ < 0) Fail("cannot be made", errno);
  }
  ~PackedOutput() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  PackedOutput(const PackedOutput&) = delete;
  PackedOutput& operator=(const PackedOutput&) = delete;

  /// Asks for all of the room at once, so that a disk without it says so before it is full.
  void Reserve(int64_t bytes) {
#ifdef __linux__
    // File systems that cannot say find out while they write.
    if (fallocate(descriptor_, 0, 0, bytes) != 0 && (errno == ENOSPC || errno == EFBIG || errno == EDQUOT))
      Fail("has no room", errno);
#endif
    if (ftruncate(descriptor_, bytes) != 0) Fail("cannot be written", errno);
  }

  void Write(int64_t offset, std::span<const std::byte> from) {
    while (!from.empty()) {
      const ssize_t done = pwrite(descriptor_, from.data(), from.size(), static_cast<off_t>(offset));
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) Fail("cannot be written", errno);
      from = from.subspan(static_cast<size_t>(done));
      offset += done;
    }
  }

  /// Some file systems say only now that there was no room.
  void Close() {
    if (close(std::exchange(descriptor_, -1)) != 0) Fail("cannot be written", errno);
  }

 private:
  [[noreturn]] void Fail(const char* what, int error) const {
    throw Error("NATIVE_FILE_ERROR", path_ + ": " + what + ": " + std::generic_category().message(error));
  }

  std::string path_;
  int descriptor_;
};

}  // namespace

void ReadPackedFile(const PackedFile& packed, std::span<const PackedTensor> tensors, const LoadContext& context) {
  try {
    ReadTensors(File(packed.path), packed.key, tensors, context);
  } catch (const Error& error) {
    // Of what is wrong with any other file the same codes tell.
    if (std::string_view(error.code()).starts_with("NATIVE_FILE_")) throw Error("NATIVE_PACKED_UNUSABLE", error.what());
    throw;
  }
}

void WritePackedFile(const PackedFile& packed, std::span<const LoadedWeight> weights,
                     const std::atomic<bool>& cancelled) {
  std::vector<const StoredTensor*> tensors;
  for (const LoadedWeight& weight : weights) tensors.push_back(weight.stored.get());
  const FileLayout layout(packed.key, tensors);
  PackedOutput output(packed.path);
  output.Reserve(layout.file_bytes);
  std::vector<std::byte> index(static_cast<size_t>(layout.index_bytes));
  std::memcpy(index.data(), packed.key.data(), packed.key.size());
  std::byte* at = index.data() + KeyBytes(packed.key.size());
  for (const StoredTensor* tensor : tensors) {
    const PackedEntry entry{static_cast<uint64_t>(FormOf(*tensor)), tensor->bytes.size()};
    std::memcpy(at, &entry, sizeof entry);
    at += sizeof entry;
  }
  for (const FilePiece& piece : layout.pieces) {
    if (cancelled) throw Error("NATIVE_DISPOSED", "JavaScript ended while weights were written");
    const std::span<const std::byte> bytes(tensors[piece.tensor]->bytes.data() + piece.begin,
                                           static_cast<size_t>(piece.end - piece.begin));
    const uint64_t sum = Xxh64(bytes);
    std::memcpy(at, &sum, sizeof sum);
    at += sizeof sum;
    output.Write(piece.offset, bytes);
  }
  const auto file_bytes = static_cast<uint64_t>(layout.file_bytes);
  PackedHeader header{{}, packed.key.size(), tensors.size(), layout.pieces.size(), file_bytes, 0};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.sum = SumOf(header, index);
  output.Write(sizeof header, index);
  output.Write(0, {reinterpret_cast<const std::byte*>(&header), sizeof header});
  output.Close();
}

std::string ReadPackedKey(const std::string& path) {
  try {
    const File file(path);
    std::vector<std::byte> index;
    const PackedHeader header = ReadIndex(file, index);
    return KeyOf(header, index);
  } catch (const Error& error) {
    throw Error("NATIVE_PACKED_UNUSABLE", error.what());
  }
}

}  // namespace atb
