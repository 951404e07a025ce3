"""Processes of their own for decoders and encoders: started, limited, and fed through shared memory.

Decides how much memory and time foreign code gets, and what a dead process means.
"""
