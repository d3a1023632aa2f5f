"""The local page of ``--web``: preview, readings, heart rate and pause, for this computer's browser only."""
