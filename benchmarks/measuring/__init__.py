"""What the benchmarks share: a description of the machine, tables, medians, threads."""
