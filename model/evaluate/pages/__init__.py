"""Every report of docs/evaluation with one command, and the page that links them."""
