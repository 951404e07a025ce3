"""What the steps share about marks: candidates, the plan of frames to look at, crops, mark models and presence scores.

Decides which frames of a candidate are read again, and how much of a mark a crop shows.
"""
