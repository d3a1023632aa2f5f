"""The ``physio-cam`` command."""
