"""Pocket models: tiny language models, trained by this project, and the tasks they work on."""
