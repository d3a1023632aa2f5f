"""``physio-bench``: how fast the filter is on this machine, beside others on the same frames."""
