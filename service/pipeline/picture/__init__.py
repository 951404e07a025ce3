"""From planes to RGB and back: crops, colour conversion, rotation, views, and small operations on masks.

Decides nothing about marks; it guarantees that pixels outside a patch keep their bits.
"""
