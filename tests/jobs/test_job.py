"""A job as data: allowed state transitions, and storing it in the database."""

import json
from itertools import product

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from service import errors
from service.errors import CleanplateError, FetchRefused, InternalError
from service.jobs import store
from service.jobs.job import FINAL, Failure, JobSpec, State, may_follow, new_id
from service.jobs.tables import JOBS
from service.timed_box import TimedBox
from tests.jobs.bench import Bench

LEGAL = {
    "queued": {"fetching", "cleaning", "failed", "cancelled"},
    "fetching": {"queued", "cleaning", "failed", "cancelled"},
    "cleaning": {"publishing", "failed", "cancelled"},
    "publishing": {"succeeded", "failed", "cancelled"},
}
PAIRS = list(product(State, State))


@pytest.mark.parametrize(("state", "following"), PAIRS)
def test_the_transition_table(state: State, following: State) -> None:
    assert may_follow(state, following) == (following in LEGAL.get(state, ()))


@pytest.mark.parametrize(("state", "following"), PAIRS)
def test_only_legal_transitions_are_stored(lite: Bench, state: State, following: State) -> None:
    job = lite.order(lite.customer(paid=3))
    with lite.database.write() as connection:
        connection.execute(sa.update(JOBS).where(JOBS.c.id == job.id).values(state=state, ended=state in FINAL))
        job = store.locked(connection, job.id)
        if state is not following and following not in LEGAL.get(state, ()):
            with pytest.raises(AssertionError, match=f"{state} -> {following}"):
                store.advance(connection, job, following)
            assert store.find(connection, job.id) == job
            return
        moved = store.advance(connection, job, following)
        states = [event.state for event in store.events(connection, job.id)]
    assert (moved.state, moved.ended) == (following, following in FINAL)
    assert (moved.finished_ms is not None) == (state is not following and following in FINAL)
    assert states == [State.QUEUED] + ([] if state is following else [following])


LOW, HIGH = st.floats(0, 0.5), st.floats(0.5, 1, exclude_min=True)
BOXES = st.builds(TimedBox, LOW, LOW, HIGH, HIGH, st.none() | LOW, st.none() | HIGH)
SPECS = st.builds(
    JobSpec,
    media=st.sampled_from(["video", "image"]),
    source_url=st.none() | st.text(),
    mask_key=st.none() | st.text(),
    boxes=st.lists(BOXES, max_size=3).map(tuple),
    keep=st.lists(BOXES, max_size=3).map(tuple),
    reject=st.lists(st.just("3f9a1c07"), max_size=2).map(tuple),
    kind=st.sampled_from(["clean", "detect"]),
    detection_key=st.none() | st.text(),
    marks=st.lists(st.just("3f9a1c07"), max_size=2).map(tuple),
    classes=st.sampled_from([("overlay",), ("overlay", "scene_text")]),
    detect=st.booleans(),
    preview_seconds=st.none() | st.floats(0.1, 360),
    preview_first_seconds=st.floats(0, 360),
    deinterlace=st.booleans(),
)


@given(SPECS)
def test_a_job_spec_survives_json(spec: JobSpec) -> None:
    assert JobSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_an_older_worker_can_read_what_it_can_do() -> None:
    """A worker of 0.2 refuses a spec with a name that it does not know."""
    names = "media source_url source_key mask_url mask_key mask_is_smear boxes classes detect remove_audio"
    assert set(JobSpec("video").to_json()) == set(names.split())
    assert {"kind", "keep"} <= set(JobSpec("video", kind="detect", keep=(TimedBox(0, 0, 1, 1),)).to_json())


def test_our_errors_keep_their_message_and_others_reveal_nothing() -> None:
    assert Failure.of(FetchRefused("the host says 404")) == Failure("FetchRefused", "the host says 404")
    assert Failure.of(KeyError("/root/secret")) == Failure("InternalError", "internal error")
    assert Failure("TooLong", "").error_kind is errors.TooLong
    for unknown in ("NoSuchKind", "CleanplateErrors", "__doc__"):
        assert Failure(unknown, "").error_kind is InternalError
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, CleanplateError)]
    assert all(Failure(kind.__name__, "").error_kind is kind for kind in kinds)


def test_ids_differ_and_sort_by_time() -> None:
    ids = [new_id("job_", at_ms) for at_ms in (1765183831860, 1765183831861) for _ in range(50)]
    assert len(set(ids)) == 100
    assert sorted(ids, key=lambda each: each[:17]) == ids
    assert all(store.JOB_ID.fullmatch(each) and len(each.rpartition("_")[2]) == 24 for each in ids)
