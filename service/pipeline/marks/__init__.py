"""What the other packages share about marks: candidates, frame plans, crops, mark models and presence scores.

Decides which frames are read again for a candidate, and how much of a mark a crop shows.
"""
