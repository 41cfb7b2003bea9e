"""Doing it: training, teaching, scoring, predicting."""
