"""The serving graph in the form that a GPU keeps: ``python -m export.device --artifact DIR --out DIR``."""
