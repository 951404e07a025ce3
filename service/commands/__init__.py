"""The commands of `cleanplate`, one a file; only the one that is asked for is imported."""
