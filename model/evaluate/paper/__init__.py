"""The paper's table (arXiv 2509.25348) filled from any dataset that `model.datasets` reads."""
