"""The serving graph in 8-bit integers, and whether it is good enough to ship: ``python -m export.int8``."""
