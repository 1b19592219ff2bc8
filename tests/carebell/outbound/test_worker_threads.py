"""As few threads as keep up: one for calls that return at once, one for each call that waits."""

from collections.abc import Callable, Iterator
from functools import partial
from threading import Barrier, Event, Semaphore, Thread, current_thread

import pytest

from carebell.outbound.worker_threads import WorkerThreads

_PATIENCE = 30.0  # seconds; only a fault takes so long
_PAUSE = 0.001  # so long a job lets other threads run, if there are any


class CountedIdle(WorkerThreads):
    """`idle` is released whenever a thread sees that there is no job left for it."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.idle = Semaphore(0)

    def _next(self) -> Callable[[], None] | None:
        job = super()._next()
        if job is None:
            self.idle.release()
        return job


def waits_at(barrier: Barrier) -> None:
    barrier.wait(_PATIENCE)


def waits_for(event: Event) -> None:
    event.wait(_PATIENCE)


def until_none_waits(threads: WorkerThreads) -> None:
    while threads.waiting:
        threads.widen()


@pytest.fixture
def threads() -> Iterator[WorkerThreads]:
    made = WorkerThreads(4)
    yield made
    made.end()


def test_jobs_run_in_their_order_on_one_thread(threads: WorkerThreads) -> None:
    done: list[int] = []
    ran_on: set[str] = set()
    over = Event()

    def job(number: int) -> None:
        done.append(number)
        ran_on.add(current_thread().name)
        Event().wait(_PAUSE)

    threads.run([*(partial(job, number) for number in range(100)), over.set])
    assert over.wait(_PATIENCE)
    assert done == list(range(100))
    assert len(ran_on) == 1


def test_every_job_that_waits_gets_a_thread(threads: WorkerThreads) -> None:
    all_at_once = Barrier(5)
    threads.run([lambda: waits_at(all_at_once)] * 4)
    until_none_waits(threads)
    all_at_once.wait(_PATIENCE)


def test_a_later_job_gets_a_thread_although_all_before_it_wait(threads: WorkerThreads) -> None:
    first_ones, released = Barrier(4), Event()

    def waits() -> None:
        first_ones.wait(_PATIENCE)
        released.wait(_PATIENCE)

    threads.run([waits] * 3)
    until_none_waits(threads)
    first_ones.wait(_PATIENCE)
    threads.narrow()
    threads.run([released.set])
    until_none_waits(threads)
    assert released.wait(_PATIENCE)


def test_after_it_was_narrowed_one_thread_works() -> None:
    threads, all_at_once = CountedIdle(4), Barrier(4)
    threads.widen()
    threads.widen()
    threads.run([lambda: waits_at(all_at_once)] * 4)
    for _ in range(4):
        assert threads.idle.acquire(timeout=_PATIENCE)
    threads.narrow()
    over = Event()
    ran_on: list[str] = []

    def job() -> None:
        ran_on.append(current_thread().name)
        Event().wait(_PAUSE)

    threads.run([*[job] * 100, over.set])
    assert over.wait(_PATIENCE)
    threads.end()
    assert len(ran_on) == 100
    assert len(set(ran_on)) == 1


def no_more_threads(_: Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_without_any_thread_nothing_is_queued(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = WorkerThreads(4)
    with monkeypatch.context() as patch:
        patch.setattr(Thread, "start", no_more_threads)
        with pytest.raises(RuntimeError, match="new thread"):
            threads.run([lambda: None])
    assert not threads.waiting
    threads.end()


def test_the_threads_that_there_are_do_the_work_of_those_that_cannot_start(
    threads: WorkerThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    released, over = Event(), Event()
    threads.run([lambda: waits_for(released)])
    with monkeypatch.context() as patch:
        patch.setattr(Thread, "start", no_more_threads)
        threads.widen()
        threads.run([lambda: None, over.set])
        threads.widen()
        released.set()
        assert over.wait(_PATIENCE)


def test_the_end_waits_for_what_was_queued() -> None:
    threads = WorkerThreads(2)
    done: list[int] = []
    threads.run([partial(done.append, number) for number in range(1000)])
    threads.end()
    assert done == list(range(1000))
