#include "kernels/dispatch.h"

#include <string>
#include <vector>

#include "base/error.h"
#include "kernels/tables.h"

#ifdef ATB_X86
#include <cpuid.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

namespace atb::kernels {
namespace {

#ifdef ATB_X86

struct Registers {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

/// Zeros for a leaf that the CPU does not have.
Registers Cpuid(uint32_t leaf, uint32_t subleaf) {
  Registers r;
  __get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx);
  return r;
}

bool Bit(uint32_t word, int bit) { return (word >> bit) & 1u; }

/// Register files that the operating system saves: XCR0, or 0 when it saves none beyond SSE.
uint64_t SavedState() {
  if (!Bit(Cpuid(1, 0).ecx, 27)) return 0;  // OSXSAVE
  uint32_t low = 0;
  uint32_t high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<uint64_t>(high) << 32) | low;
}

constexpr uint64_t kYmmState = 0x6;
constexpr uint64_t kZmmState = 0xE6;
constexpr uint64_t kTileState = 0x60000;

bool HasAvx2() {
  const Registers one = Cpuid(1, 0);
  const bool fma = Bit(one.ecx, 12);
  const bool f16c = Bit(one.ecx, 29);
  const bool avx2 = Bit(Cpuid(7, 0).ebx, 5);
  return fma && f16c && avx2 && (SavedState() & kYmmState) == kYmmState;
}

bool HasAvx512() {
  const uint32_t ebx = Cpuid(7, 0).ebx;
  const uint32_t ecx = Cpuid(7, 0).ecx;
  const bool f = Bit(ebx, 16), dq = Bit(ebx, 17), bw = Bit(ebx, 30), vl = Bit(ebx, 31), vnni = Bit(ecx, 11);
  const bool bf16 = Bit(Cpuid(7, 1).eax, 5);
  return HasAvx2() && f && dq && bw && vl && vnni && bf16 && (SavedState() & kZmmState) == kZmmState;
}

/// Linux gives a process its 8 KB of tile state on request only.
bool RequestTiles() {
#ifdef __linux__
  constexpr long kArchReqXcompPerm = 0x1023;
  constexpr long kXfeatureXtiledata = 18;
  return syscall(SYS_arch_prctl, kArchReqXcompPerm, kXfeatureXtiledata) == 0;
#else
  return false;
#endif
}

bool HasAmx() {
  const uint32_t edx = Cpuid(7, 0).edx;
  const bool bf16 = Bit(edx, 22), tile = Bit(edx, 24), int8 = Bit(edx, 25);
  return HasAvx512() && bf16 && tile && int8 && (SavedState() & kTileState) == kTileState && RequestTiles();
}

#endif  // ATB_X86

struct Candidate {
  const KernelTable* table;
  bool (*supported)();
};

/// Best first. Adding an ISA is one folder and one line here.
constexpr Candidate kCandidates[] = {
#ifdef ATB_X86
    {&kAmx, HasAmx},
    {&kAvx512, HasAvx512},
    {&kAvx2, HasAvx2},
#endif
    {&kReference, [] { return true; }},
};

}  // namespace

std::span<const KernelTable* const> Available() {
  static const std::vector<const KernelTable*> tables = [] {
    std::vector<const KernelTable*> found;
    for (const Candidate& candidate : kCandidates) {
      if (candidate.supported()) found.push_back(candidate.table);
    }
    return found;
  }();
  return tables;
}

const KernelTable& Select(std::string_view isa) {
  if (isa.empty()) return *Available().front();
  std::string choices;
  for (const KernelTable* table : Available()) {
    if (isa == table->isa) return *table;
    choices += (choices.empty() ? "" : ", ") + std::string(table->isa);
  }
  throw Error("NATIVE_ISA_UNSUPPORTED",
              "kernel table \"" + std::string(isa) + "\" is not available on this machine; choices: " + choices);
}

}  // namespace atb::kernels
