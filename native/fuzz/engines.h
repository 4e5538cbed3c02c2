#pragma once
#include <memory>
#include <vector>

#include "bytes.h"
#include "engine/engine.h"
#include "kernels/dispatch.h"

namespace atb::fuzz {

/// Engines on every kernel table, with one thread and with two.
class Engines {
 public:
  Engines() {
    for (const int threads : {1, 2})
      for (const kernels::KernelTable* table : kernels::Available())
        engines_.push_back(std::make_unique<Engine>(threads, table->isa, shared_));
  }

  const std::vector<std::unique_ptr<Engine>>& all() const { return engines_; }
  /// Mostly one with one thread: two wait for each other, which takes long on a busy machine and finds little that one
  /// does not.
  Engine& Choose(Bytes& bytes) const {
    const auto tables = static_cast<int64_t>(engines_.size() / 2);
    const int64_t table = bytes.Int(0, tables - 1);
    return *engines_[static_cast<size_t>(bytes.OneIn(16) ? tables + table : table)];
  }

 private:
  EngineShared shared_;
  std::vector<std::unique_ptr<Engine>> engines_;
};

}  // namespace atb::fuzz
