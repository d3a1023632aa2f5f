"""Other people's editors, written from their papers, for comparison: offline, a whole clip at a time."""
