"""From planes to RGB and back: crops, colour conversion, rotation and views.

It decides nothing about marks. It guarantees that pixels outside a patch keep their bits.
"""
