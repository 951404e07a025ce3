"""Child processes for work on untrusted media: started, limited, and connected by messages and shared memory.

It decides how much memory and time foreign code gets, and which error a dead process means.
"""
