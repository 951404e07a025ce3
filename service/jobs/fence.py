"""The fence: an execution of a workflow may change something only while no other execution has taken the workflow over.

The engine gives each execution a token when it takes a workflow, and replaces it when the workflow is requeued or taken
again. A worker that was stopped, or cut off from the database, cannot know that it was given up; its writes can: each of them
checks the token in the same transaction. Files are stored under names that contain the token, so that an execution can
replace only its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Final, Self

import sqlalchemy as sa
from dbos import DBOS
from dbos import error as dbos_error
from dbos._context import current_owner_xid  # the engine has no public name for it; it checks its own writes with this

from service.jobs.database import Database, workflow_table

NAME_CHARACTERS: Final = 12  # of a token, in the names of files: enough for the few executions of one job


class Superseded(dbos_error.DBOSWorkflowConflictIDError):
    """Another execution has taken over. Not an Exception, so that no error handler treats it as a failure; the engine ends the execution
    quietly and leaves the outcome to the other."""


@dataclass(frozen=True)
class Fence:
    """An execution's right to act for a workflow. `token`: what the engine gave it."""

    database: Database
    workflow_id: str
    token: str

    @classmethod
    def of_this_execution(cls, database: Database) -> Self:
        """The fence of the workflow that this thread executes."""
        workflow_id = DBOS.workflow_id
        assert workflow_id is not None, "not within a workflow"
        token = current_owner_xid(workflow_id)
        assert token is not None
        return cls(database, workflow_id, token)

    @property
    def name(self) -> str:
        """A name for the execution, different from that of any other of the same job."""
        return self.token.replace("-", "")[:NAME_CHARACTERS]

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction during which nobody takes over. Raises Superseded if somebody has."""
        with self.database.write() as connection:
            self._check(connection, _owner(self.database.is_sqlite).with_for_update(key_share=True))
            yield connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Committed data. Raises Superseded if another execution has taken over."""
        with self.database.read() as connection:
            self._check(connection, _owner(self.database.is_sqlite))
            yield connection

    def check(self) -> None:
        """Raise Superseded if another execution has taken over."""
        with self.read():
            pass

    def _check(self, connection: sa.Connection, statement: sa.Select[str]) -> None:
        if connection.execute(statement, {"workflow_id": self.workflow_id}).scalar() != self.token:
            raise Superseded(self.workflow_id)


@cache
def _owner(is_sqlite: bool) -> sa.Select[str]:
    """Selects the token of a workflow's present execution, from the engine's table."""
    workflows = workflow_table(is_sqlite, "workflow_uuid", "owner_xid")
    return sa.select(workflows.c.owner_xid).where(workflows.c.workflow_uuid == sa.bindparam("workflow_id"))
