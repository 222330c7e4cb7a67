"""Requests are checked before anything is spent."""

from __future__ import annotations

import pytest

from paragent.config import RunConfig
from paragent.errors import UsageError


def test_round_trip() -> None:
    """Plain data and back, tuples restored from JSON's lists."""
    import json

    config = RunConfig(models=("pocket-s",), usd=0.5, exclude=("vote",))
    assert RunConfig.from_data(json.loads(json.dumps(config.to_data()))) == config


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"evals": 0}, "evals is 0; wanted a whole number of at least 1"),
        ({"evals": 2.5}, "evals is 2.5"),
        ({"usd": 0}, "the cap usd is 0"),
        ({"usd": -1}, "the cap usd is -1"),
        ({"usd": float("nan")}, "the cap usd is nan"),
        ({"minutes": True}, "the cap minutes is True"),
        ({"cost": "usdd"}, "Did you mean 'usd'?"),
        ({"evalls": 3}, "no setting is called 'evalls'. Did you mean 'evals'?"),
        ({"failure_limit": 2}, "failure_limit is 2"),
        ({"failure_limit": "a"}, "failure_limit is 'a'; wanted a number"),
        ({"final_share": float("nan")}, "final_share is nan"),
        ({"max_depth": 50}, "max_depth is 50; wanted at most 5"),
        ({"models": "pocket-s"}, "models is 'pocket-s'; wanted a list of names"),
        ({"exclude": [3]}, "exclude is (3,); wanted a list of names"),
        ({"options": 3}, "options is 3; wanted names with values"),
    ],
)
def test_mistakes_are_told_in_one_line(settings: dict[str, object], words: str) -> None:
    """What was given, what was wanted, the nearest right name; exit code 2."""
    with pytest.raises(UsageError) as caught:
        RunConfig.from_data(settings)
    assert words in str(caught.value)
    assert caught.value.exit_code == 2
