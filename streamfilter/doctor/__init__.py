"""Is everything here that the live filter needs? And the files that put it into a desktop, and out again."""
