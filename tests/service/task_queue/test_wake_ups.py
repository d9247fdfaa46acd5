from threading import Event

from service.task_queue.wake_ups import WakeUps


def test_a_ring_is_answered_soon() -> None:
    answered = Event()
    WakeUps(answered.set).ring()
    assert answered.wait(5)


def test_a_ring_during_an_answer_is_answered_by_another() -> None:
    """The last callback of a burst comes while the drain that will miss it is being asked for."""
    begun, go_on, answers = Event(), Event(), []

    def answer() -> None:
        answers.append(1)
        begun.set()
        go_on.wait(5)

    bell = WakeUps(answer)
    bell.ring()
    assert begun.wait(5)
    begun.clear()
    bell.ring()
    go_on.set()
    assert begun.wait(5)
    assert len(answers) == 2


def test_many_rings_are_answered_together() -> None:
    begun, go_on, again, answers = Event(), Event(), Event(), []

    def answer() -> None:
        answers.append(1)
        (again if begun.is_set() else begun).set()
        go_on.wait(5)

    bell = WakeUps(answer)
    bell.ring()
    assert begun.wait(5)
    for _ in range(1000):
        bell.ring()
    go_on.set()
    assert again.wait(5)
    assert len(answers) == 2


def test_an_answer_that_fails_is_not_the_last() -> None:
    answered = Event()
    failures = iter([OSError("no Redis")])

    def answer() -> None:
        for failure in failures:
            answered.set()
            raise failure
        answered.set()

    bell = WakeUps(answer)
    bell.ring()
    assert answered.wait(5)
    answered.clear()
    bell.ring()
    assert answered.wait(5)
