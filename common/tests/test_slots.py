"""Test the slots for slow work."""

import pytest

from common.operations.slots import Slots


@pytest.mark.parametrize(("threads", "slots"), [(8, 7), (2, 1), (1, 1)])
def test_one_thread_stays_free_unless_it_is_the_only_one(threads: int, slots: int) -> None:
    found = Slots(threads)
    held = [found.hold(RuntimeError("busy")) for _ in range(slots)]
    for each in held:
        each.__enter__()
    with pytest.raises(RuntimeError, match="busy"), found.hold(RuntimeError("busy")):
        pass
    held[0].__exit__(None, None, None)
    with found.hold(RuntimeError("busy")):
        pass


def test_exception_releases_the_slot() -> None:
    slots = Slots(2)
    for _ in range(3):
        with pytest.raises(KeyError), slots.hold(RuntimeError("busy")):
            raise KeyError
