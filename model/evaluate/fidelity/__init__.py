"""Where the picture's decibels go: what each part of the edit costs, and what no causal filter can save."""
