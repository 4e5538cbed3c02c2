// Runs a fuzz target without libFuzzer, on random bytes: for compilers that have none. Of libFuzzer's flags it
// knows -max_total_time=SECONDS and -seed=N, and passes over all others.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main(int argc, char** argv) {
  long seconds = 10;
  unsigned long seed = 1;
  for (int i = 1; i < argc; ++i) {
    if (std::strncmp(argv[i], "-max_total_time=", 16) == 0) seconds = std::atol(argv[i] + 16);
    if (std::strncmp(argv[i], "-seed=", 6) == 0) seed = std::strtoul(argv[i] + 6, nullptr, 10);
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  uint64_t executions = 0;
  std::vector<uint8_t> bytes;
  for (; std::chrono::steady_clock::now() < end; ++executions) {
    // An execution follows from the seed and its number alone, so that a finding can be run again.
    std::mt19937_64 random(seed * 1000003 + executions);
    bytes.resize(random() % 512);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
  std::fprintf(stderr, "stat::number_of_executed_units: %llu\n", static_cast<unsigned long long>(executions));
  return 0;
}
