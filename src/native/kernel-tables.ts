/** The kernel tables for the CPUs of each architecture, best first. */
const BY_ARCH: Readonly<Record<string, readonly string[]>> = {
  x64: ['amx', 'avx512_bf16', 'avx512', 'avx_vnni', 'avx2'],
  arm64: ['dotprod', 'neon'],
};

/** The kernel tables that a build for this architecture has, best first. The last runs on every CPU. */
export const KERNEL_TABLES: readonly string[] = [...(BY_ARCH[process.arch] ?? []), 'reference'];
