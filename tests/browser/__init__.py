"""The page in a real browser. A package, so that its browser closes with it: while one runs, no other event loop may run."""
