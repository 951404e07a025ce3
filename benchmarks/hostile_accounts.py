"""The accounts that take part in an attack: one without credits, and an operator."""

import sqlalchemy as sa

from benchmarks.fleet import SETTINGS
from service.app import open_app_context
from service.core import Core
from service.jobs.credits import Fund
from service.jobs.database import now_ms
from service.jobs.job import JobSpec, NewJob, new_id
from service.jobs.keys import Scope, hash_of
from service.jobs.tables import API_KEYS


def poor_customer(core: Core, source_url: str) -> tuple[str, str]:
    """An account that spent its last credit on a job, which waits for ever: its key, and the job's id."""
    account = core.accounts.create("poor")
    core.administration.grant(account, Fund.PAID, int(SETTINGS["price_video_credits"]), "hostile")
    new = NewJob(
        id=new_id("job_", now_ms()), account_id=account.id, facade="native", spec=JobSpec(media="video", source_url=source_url), request={}
    )
    return core.accounts.add_key(account), open_app_context(core).job_service.submit(new).id


def operator(core: Core) -> str:
    """A key that administers the service, and a thousand others, which one list shows."""
    account = core.accounts.create("operator")
    row = {"account_id": account.id, "hint": "cp_list", "created_ms": now_ms()}
    with core.database.write() as connection:
        connection.execute(sa.insert(API_KEYS), [row | {"hash": hash_of(str(n)), "id": f"key_{n:012x}"} for n in range(1000)])
    return core.accounts.create_key(account, {Scope.ADMIN}).key
