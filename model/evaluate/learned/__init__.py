"""Learned estimators as readers of our output, and other people's editors beside ours on the same clips."""
