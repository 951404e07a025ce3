"""Opacity levels: an opaque mark is filled, a translucent one is un-blended."""

DENSE_LEVEL = 0.6  # opacity: above it a level is fitted over the area of a mark; below it, at its outline
OPAQUE_LEVEL = 0.9  # opacity: above it too little of the scene shows through
