"""Readers of public rPPG datasets, all behind one protocol: `registry.open_dataset`."""
