"""Comments on posts, and the answers to them (docs/facts/meta.md §4.1). The oldest first, unless told otherwise."""

from collections.abc import Callable, Sequence

from flask import Response, jsonify, request

from broker.sandbox.facebook.access import Caller, demand_of_page
from broker.sandbox.facebook.permissions import COMMENTS
from broker.sandbox.facebook.reading import edge, fields_of, nested
from broker.sandbox.facebook.seed import Page
from broker.sandbox.graph import bad_parameter, not_found
from broker.sandbox.graph_fields import Field, check, shown
from broker.sandbox.graph_paging import Record, Series

DEFAULT = ("created_time", "from", "message", "id")
FIELDS = frozenset(
    {
        *("id", "created_time", "message", "from", "like_count", "comment_count", "is_hidden", "permalink_url"),
        *("parent", "attachment", "comments"),
    }
)


def comments(found: Caller, page: Page, number: int) -> Response:
    """`order`, and `filter=stream` for answers beside comments."""
    record = page.posts.get(number)
    if record is None:
        raise not_found(f"{page.id}_{number}")
    demand_of_page(found, page, COMMENTS)
    fields = fields_of(DEFAULT, FIELDS, "Comment")
    stream = _choice("filter", "toplevel", "stream") == "stream"
    series = _stream(page, number) if stream else page.comments(number)
    path = f"{record['id']}/comments"
    shape = _shape(page, number, fields)
    return jsonify(edge(series, path, shape, timed=not stream, oldest_first=_oldest_first()))


def _oldest_first() -> bool:
    return _choice("order", "chronological", "reverse_chronological") == "chronological"


def _choice(name: str, *known: str) -> str:
    """The first is the default."""
    value = request.args.get(name, known[0]).lower()
    if value not in known:
        raise bad_parameter(f"Param {name} must be one of {{{', '.join(known)}}}")
    return value


def _stream(page: Page, post: int) -> Series:
    """Comments and answers in one list, by their time."""
    series, found = page.comments(post), list[Record]()
    for number in series.below(None):
        answers = page.replies(post, number)
        found += [answers.get(answer) or {} for answer in answers.below(None)]
        found.append(series.get(number) or {})
    return Series.of(found)


def _shape(page: Page, post: int, fields: Sequence[Field]) -> Callable[[int, Record], Record]:
    plain = [field for field in fields if field.name != "comments"]
    answers = next((field for field in fields if field.name == "comments"), None)

    def shape(number: int, record: Record) -> Record:
        found = shown(record, plain)
        if answers and "parent" not in record:
            found["comments"] = _nested(page.replies(post, number), page, post, record["id"], answers)
        return found

    return shape


def nested_comments(page: Page, post: int, post_id: str, field: Field) -> Record:
    """As they stand among the fields of a post. Raises `GraphError`."""
    series = page.comments(post)
    answer = _nested(series, page, post, post_id, field)
    if field.argument("summary") == "true":
        answer["summary"] = {"order": "chronological", "total_count": len(series), "can_comment": True}
    return answer


def _nested(series: Series, page: Page, post: int, of: str, field: Field) -> Record:
    inner = field.fields or tuple(Field(name) for name in DEFAULT)
    check(inner, FIELDS, "Comment")
    oldest_first = field.argument("order") != "reverse_chronological"
    return nested(series, f"{of}/comments", field, _shape(page, post, inner), oldest_first=oldest_first)


def replies(found: Caller, page: Page, post: int, number: int) -> Response:
    record = _comment(found, page, post, number)
    fields = fields_of(DEFAULT, FIELDS, "Comment")
    path = f"{record['id']}/comments"
    return jsonify(edge(page.replies(post, number), path, _shape(page, post, fields), oldest_first=_oldest_first()))


def _comment(found: Caller, page: Page, post: int, number: int) -> Record:
    demand_of_page(found, page, COMMENTS)
    record = page.comments(post).get(number) if page.posts.get(post) else None
    if record is None:
        raise not_found(f"{post}_{number}")
    return record


def comment(found: Caller, page: Page, post: int, number: int) -> Response:
    record = _comment(found, page, post, number)
    return jsonify(_shape(page, post, fields_of(DEFAULT, FIELDS, "Comment"))(number, record))


def reply(found: Caller, page: Page, post: int, number: int, answer: int) -> Response:
    _comment(found, page, post, number)
    record = page.replies(post, number).get(answer)
    if record is None:
        raise not_found(f"{post}_{number}_{answer}")
    return jsonify(shown(record, fields_of(DEFAULT, FIELDS, "Comment")))
