"""Compares pulse editors on clips whose pulse is known: what is shown, what still leaks, what it costs."""
