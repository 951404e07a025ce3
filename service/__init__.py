"""Cleanplate's service: turns a marked video or image into its clean plate. It does not import torch."""
