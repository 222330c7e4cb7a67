"""Searches on Ray: sessions, workers, and what travels to them."""
