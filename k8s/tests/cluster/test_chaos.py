"""PostgreSQL is killed under load."""

from bench import chaos
from tools.kubectl import Kubectl


def test_killed_databases_lose_no_write_and_the_api_itself_says_that_it_is_unavailable(kubectl: Kubectl) -> None:
    with chaos.unlimited(kubectl):
        outcome, found = chaos.run(kubectl, kills=2)
    assert not outcome.failures  # no 404 and no 502 of the ingress
    assert outcome.refused
    assert len(outcome.acknowledged) > 100
    assert chaos.lost_and_twice(outcome, found) == (0, 0)
