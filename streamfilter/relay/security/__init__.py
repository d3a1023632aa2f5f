"""Who may ask the relay for what, and how much: tokens, limits, addresses, TLS, TURN credentials."""
