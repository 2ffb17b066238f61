"""The parameters of one call: those that the broker itself would send, as far as the caller may vary them. Pure."""

from collections.abc import Mapping, Sequence

from broker import fields
from broker.errors import OperationDenied
from broker.fields import Asked as Named
from broker.operations import Operation
from broker.providers.data.relayed import Form
from broker.providers.resource import Values

Query = Mapping[str, tuple[str, ...]]


def merged(
    operation: Operation, form: Form, usual: Values, query: Query, permitted: frozenset[str], identity: str
) -> Values:
    """`usual`: what the broker would send. A caller's parameter narrows the mask, is one that the form takes, or says
    what would be sent anyway; raises `OperationDenied` for any other. `identity`: named in a mask of the Graph."""
    values = dict(usual)
    for name, given in query.items():
        known = operation.parameters.get(name)
        if known is None or known.location != "query" or (len(given) != 1 and not known.repeated):
            raise _refused(operation, name)
        value = list(given) if known.repeated else given[0]
        taken = form.takes.get(name)
        if name == form.mask:
            values[name] = _narrowed(operation, name, given, usual[name], identity)
        elif taken is not None and all(taken.admits(one, permitted) for one in given):
            values[name] = value
        elif name not in usual or list(given) != _listed(usual[name]):
            raise _refused(operation, name)
    return values


def _narrowed(
    operation: Operation, name: str, given: Sequence[str], usual: str | Sequence[str], identity: str
) -> str | list[str]:
    """A mask that names no more than the broker's own."""
    if operation.parameters[name].fields is not None:
        return _tree(operation, given[0], str(usual), identity)
    allowed = usual.split(",") if isinstance(usual, str) else list(usual)
    asked = given[0].split(",") if isinstance(usual, str) else list(given)
    if len(set(asked)) != len(asked) or not set(asked) <= set(allowed):
        raise OperationDenied(f"In {name} something is named that was not granted, or is not read.")
    return ",".join(asked) if isinstance(usual, str) else asked


def _tree(operation: Operation, given: str, usual: str, identity: str) -> str:
    try:
        asked = fields.parse(given)
    except ValueError as reason:
        raise OperationDenied(f"What is named in fields of {operation.id} is refused: {reason}.") from None
    if not _is_within(asked, fields.parse(usual)):
        raise OperationDenied("In fields something is named that was not granted, or is not read.")
    return given if identity in {one.name for one in asked} else f"{given},{identity}"


def _is_within(asked: Sequence[Named], usual: Sequence[Named]) -> bool:
    """Every name stands there too, with no more behind it."""
    known = {one.name: one for one in usual}
    return all(one.name in known and _is_no_more(one, known[one.name]) for one in asked)


def _is_no_more(asked: Named, usual: Named) -> bool:
    if (asked.within is None) != (usual.within is None):
        return False
    if asked.limit is not None and (usual.limit is None or asked.limit > usual.limit):
        return False
    return _is_within(asked.within or (), usual.within or ())


def _listed(value: str | Sequence[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _refused(operation: Operation, name: str) -> OperationDenied:
    return OperationDenied(f"The parameter {name[:64]} is not one that {operation.id} may be called with here.")
