"""Between components and models: calls, budget, cache, limits."""
