"""Drop-ins: the functions of other libraries, by their names and rules, on this package's kernels."""
