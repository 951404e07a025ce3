"""The audit log: what operators change, by command, page or API; with which key, and whether it was done."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from service.errors import CleanplateError
from service.jobs.database import NOW_MS, Database
from service.jobs.tables import ACCOUNTS, AUDIT

MAX_CHARACTERS: Final = 2000  # of what was given: more than the longest note that is taken
NOTHING: Final[Mapping[str, object]] = {}


@dataclass(frozen=True)
class Actor:
    """Who changes something over HTTP: the account and the id of its key."""

    account_id: int
    key_id: str


@dataclass(frozen=True)
class Line:
    """A line of the log. `actor` None: a command. `outcome`: done, the kind of error that refused it, or begun by a process that died."""

    id: int
    at_ms: int
    actor: str | None
    key_id: str | None
    action: str
    subject: str
    given: str
    outcome: str


class Audit:
    """Appends to the log, and reads it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def entry(self, action: str, subject: str, given: Mapping[str, object] = NOTHING, actor: Actor | None = None) -> Iterator[None]:
        """Record what the block does: a line before it, so that nothing is done unrecorded, and its outcome afterwards.

        given: JSON values without secrets.
        """
        said = json.dumps(given, ensure_ascii=False) if given else ""
        row = {"at_ms": NOW_MS, "action": action, "subject": subject, "given": said[:MAX_CHARACTERS], "outcome": "begun"}
        who = {"actor_id": actor.account_id, "key_id": actor.key_id} if actor else {}
        with self._database.write() as connection:
            line_id = connection.execute(sa.insert(AUDIT).values(row | who).returning(AUDIT.c.id)).scalar_one()
        try:
            yield
        except CleanplateError as error:
            self._end(line_id, type(error).__name__)
            raise
        self._end(line_id, "done")

    def latest(self, limit: int, before_id: int | None = None) -> list[Line]:
        """The last lines, newest first: at most `limit`, of those before the line `before_id`."""
        statement = sa.select(AUDIT, ACCOUNTS.c.name).outerjoin(ACCOUNTS, ACCOUNTS.c.id == AUDIT.c.actor_id)
        if before_id is not None:
            statement = statement.where(AUDIT.c.id < before_id)
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(AUDIT.c.id.desc()).limit(limit)).all()
        return [Line(row.id, row.at_ms, row.name, row.key_id, row.action, row.subject, row.given, row.outcome) for row in rows]

    def _end(self, line_id: int, outcome: str) -> None:
        with self._database.write() as connection:
            connection.execute(sa.update(AUDIT).where(AUDIT.c.id == line_id).values(outcome=outcome))
