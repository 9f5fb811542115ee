"""Contractions of dask arrays: a task for each block of the result, of what it reads alone."""
