"""Checkpoint → artifact: the only way from the training side to the runtime."""
