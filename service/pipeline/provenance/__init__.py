"""Content Credentials and source types: what a file says about its origin is kept, and the edit is recorded and signed.

Decides what an output claims about itself.
"""
