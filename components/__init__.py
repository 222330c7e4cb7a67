"""Components: each file is one plug-in, or a small family of them."""
