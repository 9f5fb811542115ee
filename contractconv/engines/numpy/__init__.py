"""Contractions by numpy alone."""
