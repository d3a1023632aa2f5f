"""Remote photoplethysmography in NumPy: estimators, heart-rate read-out, what is left of a pulse."""
