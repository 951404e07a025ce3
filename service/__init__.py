"""Cleanplate's service: from a marked video or image to its clean plate, without torch."""
