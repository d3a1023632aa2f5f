"""Exact-label training data: face footage x motion x light x camera x a pulse that is known."""
