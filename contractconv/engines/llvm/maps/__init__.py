"""Groups of maps as kernels: every array is read or written once, all between is in registers."""
