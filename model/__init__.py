"""The network, its data, losses, training and evaluation (PyTorch). Only `export` reads what it makes."""
