"""Tree ensembles as one torch operator, `workbench::tree_ensemble`: compiled by numba on a CPU, by Triton on a GPU."""
