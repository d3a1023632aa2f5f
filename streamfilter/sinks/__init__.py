"""Sinks for frames behind one small protocol."""
