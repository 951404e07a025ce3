"""Content Credentials and source types: what a file states about its origin is kept, and the edit is recorded and signed.

It decides what an output claims about itself.
"""
