"""Measurements about Paragent itself: which designs, models and searchers to trust."""
