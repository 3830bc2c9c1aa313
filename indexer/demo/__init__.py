"""Trains and measures the embedded default's models."""
