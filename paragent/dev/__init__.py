"""Tools for whoever works on Paragent itself."""
