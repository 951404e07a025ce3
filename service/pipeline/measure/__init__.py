"""What a mark is: its pixels, its opacity and its colour, solved from crops with and without it.

Decides whether a candidate is a mark at all, and for each pixel how much of the scene still shows through.
"""
