#pragma once
#include <algorithm>
#include <chrono>
#include <ctime>
#include <functional>
#include <span>
#include <vector>

#include "base/buffer.h"

// Clocks and memory of the benchmarks.

namespace atb {
namespace {

/// With one thread its processor time, which other processes do not count in; else the wall clock.
bool one_thread = false;

double Now() {
  if (one_thread) return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double Seconds(const std::function<void()>& f) {
  const double start = Now();
  f();
  return Now() - start;
}

std::span<std::byte> Bytes(const Buffer& buffer) { return {const_cast<Buffer&>(buffer).data(), buffer.size()}; }

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace
}  // namespace atb
