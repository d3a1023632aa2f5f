"""The clips on which the filter does worst, shown: chosen by figures, drawn by code."""
