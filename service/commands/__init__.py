"""The commands of `cleanplate`, one per file; only the requested one is imported."""
