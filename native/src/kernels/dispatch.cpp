#include "kernels/dispatch.h"

#include <initializer_list>
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
#ifdef ATB_ARM64
#ifdef __APPLE__
#include <sys/sysctl.h>
#else
#include <sys/auxv.h>
#endif
#endif

namespace atb::kernels {
namespace {

using Names = std::vector<std::string_view>;

struct Need {
  bool is_there;
  std::string_view name;
};

/// Adds the names of what is not there.
[[maybe_unused]] Names Missing(Names missing, std::initializer_list<Need> needs) {
  for (const Need& need : needs)
    if (!need.is_there) missing.push_back(need.name);
  return missing;
}

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

Names MissingForAvx2() {
  const Registers one = Cpuid(1, 0);
  return Missing({}, {{Bit(one.ecx, 12), "fma"},
                      {Bit(one.ecx, 29), "f16c"},
                      {Bit(Cpuid(7, 0).ebx, 5), "avx2"},
                      {(SavedState() & kYmmState) == kYmmState, "the system saves no ymm registers"}});
}

Names MissingForAvxVnni() { return Missing(MissingForAvx2(), {{Bit(Cpuid(7, 1).eax, 4), "avx_vnni"}}); }

Names MissingForAvx512() {
  const uint32_t ebx = Cpuid(7, 0).ebx;
  return Missing(MissingForAvx2(), {{Bit(ebx, 16), "avx512f"},
                                    {Bit(ebx, 17), "avx512dq"},
                                    {Bit(ebx, 30), "avx512bw"},
                                    {Bit(ebx, 31), "avx512vl"},
                                    {Bit(Cpuid(7, 0).ecx, 11), "avx512_vnni"},
                                    {(SavedState() & kZmmState) == kZmmState, "the system saves no zmm registers"}});
}

Names MissingForAvx512BF16() { return Missing(MissingForAvx512(), {{Bit(Cpuid(7, 1).eax, 5), "avx512_bf16"}}); }

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

Names MissingForAmx() {
  const uint32_t edx = Cpuid(7, 0).edx;
  const bool saves_tiles = (SavedState() & kTileState) == kTileState;
  Names missing = Missing(MissingForAvx512BF16(), {{Bit(edx, 22), "amx_bf16"},
                                                   {Bit(edx, 24), "amx_tile"},
                                                   {Bit(edx, 25), "amx_int8"},
                                                   {Bit(Cpuid(7, 0).ecx, 8), "gfni"},
                                                   {saves_tiles, "the system saves no tiles"}});
  // Asked for only where it would be of use.
  if (missing.empty() && !RequestTiles()) missing.push_back("the system grants this process no tiles");
  return missing;
}

#endif  // ATB_X86
#ifdef ATB_ARM64

/// Whether the CPU has FEAT_DotProd, and the system says so.
bool HasDotProducts() {
#ifdef __APPLE__
  int has = 0;
  size_t size = sizeof has;
  return sysctlbyname("hw.optional.arm.FEAT_DotProd", &has, &size, nullptr, 0) == 0 && has != 0;
#else
  constexpr unsigned long kAsimdDp = 1ul << 20;
  return (getauxval(AT_HWCAP) & kAsimdDp) != 0;
#endif
}

Names MissingForDotprod() { return Missing({}, {{HasDotProducts(), "asimddp"}}); }

#endif  // ATB_ARM64

struct Candidate {
  std::string_view isa;
  /// nullptr: left out of this build, as all the tables may be that its CPU has no use for (ATB_TABLES).
  const KernelTable* table;
  Names (*missing)();
};

/// Best first. Adding an ISA is one folder and one line here.
constexpr Candidate kCandidates[] = {
#ifdef ATB_X86
    {"amx", ATB_HAS_AMX ? &kAmx : nullptr, MissingForAmx},
    {"avx512_bf16", ATB_HAS_AVX512_BF16 ? &kAvx512BF16 : nullptr, MissingForAvx512BF16},
    {"avx512", ATB_HAS_AVX512 ? &kAvx512 : nullptr, MissingForAvx512},
    {"avx_vnni", ATB_HAS_AVX_VNNI ? &kAvxVnni : nullptr, MissingForAvxVnni},
    {"avx2", ATB_HAS_AVX2 ? &kAvx2 : nullptr, MissingForAvx2},
#endif
#ifdef ATB_ARM64
    {"dotprod", ATB_HAS_DOTPROD ? &kDotprod : nullptr, MissingForDotprod},
    {"neon", ATB_HAS_NEON ? &kNeon : nullptr, [] { return Names(); }},
#endif
    {"reference", &kReference, [] { return Names(); }},
};

}  // namespace

std::span<const KernelTable* const> Available() {
  static const std::vector<const KernelTable*> tables = [] {
    std::vector<const KernelTable*> found;
    for (const Candidate& candidate : kCandidates) {
      if (candidate.table != nullptr && candidate.missing().empty()) found.push_back(candidate.table);
    }
    return found;
  }();
  return tables;
}

std::vector<TableState> States() {
  std::vector<TableState> states;
  for (const Candidate& candidate : kCandidates)
    states.push_back({candidate.isa, candidate.missing(), candidate.table != nullptr});
  return states;
}

const KernelTable& Select(std::string_view isa) {
  if (isa.empty()) return *Available().front();
  std::string choices;
  for (const KernelTable* table : Available()) {
    if (isa == table->isa) return *table;
    choices += (choices.empty() ? "" : ", ") + std::string(table->isa);
  }
  std::string why = "is not available on this machine";
  for (const TableState& state : States()) {
    if (isa == state.isa && !state.is_built && state.missing.empty())
      why = "is left out of this build (`npm run build:native` builds all)";
  }
  throw Error("NATIVE_ISA_UNSUPPORTED", "kernel table \"" + std::string(isa) + "\" " + why + "; choices: " + choices);
}

}  // namespace atb::kernels
