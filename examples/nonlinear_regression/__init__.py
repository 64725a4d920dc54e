"""The nonlinear regressions of NIST's Statistical Reference Datasets, fitted by autodiff."""
