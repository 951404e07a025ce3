"""What was behind a mark: reference frames are aligned, the inpainter restores the hole, the result is smoothed over time.

Decides which pixels are replaced and by what; everything else of a frame is passed on as decoded.
"""
