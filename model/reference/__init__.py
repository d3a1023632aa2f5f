"""The reference setting: PhysioLatent as its paper has it (arXiv 2509.25348), 128 frames at once."""
