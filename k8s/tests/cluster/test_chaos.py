"""Tests that kill PostgreSQL while clients send requests."""

from tools import chaos
from tools.cluster import unlimited
from tools.kubectl import Kubectl


def test_database_crash_loses_no_write_and_the_api_answers_503(kubectl: Kubectl) -> None:
    with unlimited(kubectl):
        outcome, found = chaos.run(kubectl, kills=2)
    assert not outcome.failures  # for example a 404 or 502 from the ingress
    assert outcome.refused
    assert len(outcome.acknowledged) > 100
    assert chaos.lost_and_twice(outcome, found) == (0, 0)
