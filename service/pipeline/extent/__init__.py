"""When a mark is there: the first and the last frame of each placement, exact to the frame.

Decides where a placement ends, and which pieces seen apart are one mark.
"""
