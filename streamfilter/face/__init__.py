"""Find faces, follow each with a steady box, and cut the box out as the network's crop."""
