"""Searchers: each file is one plug-in."""
