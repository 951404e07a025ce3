"""How fast and how good: scripts that measure, and their committed results."""
