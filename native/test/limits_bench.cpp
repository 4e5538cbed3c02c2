// Prints the machine's bounds as JSON, for `npm run bench`. Usage: limits_bench [threads = 2].
#include <cstdio>
#include <cstdlib>
#include <string>

#include "kernels/dispatch.h"
#include "machine_limits.h"

int main(int argc, char** argv) {
  using namespace atb;
  ThreadPool pool(argc > 1 ? std::max(1, std::atoi(argv[1])) : 2);
  Buffer memory(size_t{512} << 20);  // Beyond any cache.
  Fill(memory);
  std::vector<double> read, tiles;
  for (int round = 0; round < 5; ++round) {
    read.push_back(ReadSpeed(memory, pool));
#ifdef ATB_X86
    if (std::string(kernels::Available().front()->isa) == "amx") tiles.push_back(TileSpeed(memory.data(), pool));
#endif
  }
  std::printf("{\"readBytesPerSecond\": %.0f, \"tileFlops\": %.0f}\n", Median(read), tiles.empty() ? 0.0 : Median(tiles));
  return 0;
}
