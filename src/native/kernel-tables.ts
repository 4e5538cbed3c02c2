/** The kernel tables that a build may have, best first: three for x86, two for ARM, and one for every CPU. */
export const KERNEL_TABLES = ['amx', 'avx512', 'avx2', 'dotprod', 'neon', 'reference'] as const;
