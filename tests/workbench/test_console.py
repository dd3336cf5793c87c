"""What a person reads."""

from workbench.console import clock


def test_durations_as_a_person_reads_them():
    assert [clock(s) for s in (0, 39.6, 125, 3_600 + 59, 100_000)] == [
        "0 s",
        "40 s",
        "2 min 05 s",
        "1 h 00 min",
        "27 h 46 min",
    ]
