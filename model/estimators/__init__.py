"""Learned heart-rate estimators with published weights, run in an environment of their own."""
