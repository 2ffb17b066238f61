"""Usage headers of the Graph that are not what its documents promise (docs/facts/meta.md §6.2; REL-45)."""

import pytest

from broker.providers import graph
from broker.upstream import Answer

ODD = {
    "no JSON": "soon",
    "nested beyond all depth": '{"a":' * 5000,
    "a number beyond all bounds": f'{{"call_count": {"9" * 400}}}',
    "a wait beyond all bounds": f'{{"1": [{{"estimated_time_to_regain_access": {"9" * 400}}}]}}',
    "no number": '{"call_count": NaN}',
    "an infinite one": '{"call_count": 1e999}',
    "a truth value": '{"call_count": true}',
}


@pytest.mark.parametrize("header", ODD.values(), ids=list(ODD))
def test_a_header_that_is_unsound_says_nothing(header: str) -> None:
    answer = Answer(200, {"x-app-usage": header, "retry-after": "7"}, b"")
    assert (graph.usage(answer), graph.wait(answer)) == (None, 7)


def test_one_that_is_sound_is_heard_beside_one_that_is_not() -> None:
    answer = Answer(
        200, {"x-app-usage": ODD["no JSON"], "x-business-use-case-usage": '{"1": [{"call_count": 96}]}'}, b""
    )
    assert graph.usage(answer) == graph.Usage(96.0)
