"""Extracts the metrics that a PromQL expression queries. Supports what deploy/ uses; Prometheus itself parses the rest."""

import re
from typing import Final

# Parts whose words are not metrics: strings, label matchers, label lists, durations, comments.
ASIDE: Final = re.compile(
    r"\"[^\"]*\"|\{[^}]*\}|\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)|\[[^\]]*\]|\boffset\s+\w+|#.*"
)
WORD: Final = re.compile(r"[a-zA-Z_:][\w:]*")
OPERATORS: Final = frozenset({"and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring"})


def metric_names(expression: str) -> set[str]:
    """`sum by (state) (rate(a_total{b="c"}[5m])) > 3` queries `a_total`."""
    plain = ASIDE.sub(" ", re.sub(r"\"[^\"]*\"", " ", expression))
    found = {match[0] for match in WORD.finditer(plain) if not re.match(r"\s*\(", plain[match.end() :])}
    return found - OPERATORS
