"""The commands of `paragent`, one small file per group; imported only when they are asked for."""
