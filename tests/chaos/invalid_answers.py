"""What can become of a true JSON answer: twists of its tree and of its bytes, drawn by hypothesis.

Only nonsense is drawn here: what nobody could take for a fact of the market or of the account. A wrong figure that
might as well be right (another price, another fee) is a lie that no reader can notice.
"""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from tests.fake_kraken.faults import Reply

type Node = tuple[Any, Any]
"""A container, and the key or place of something in it."""

FIGURES: tuple[Any, ...] = (
    "-1",
    "-0.5",
    "-1e-9",
    "nan",
    "NaN",
    "inf",
    "-Infinity",
    "1e400",
    "-1e400",
    "1e13",
    "9" * 400,
    "0x10",
    "1_000",
    "١٢٣",
    "1,5",
    "",
    " ",
    -1,
    10**13,
    10**400,
    -(10**400),
    float("nan"),
    float("inf"),
    float("-inf"),
    1e300,
)
SHAPES: tuple[Any, ...] = (None, True, False, [], {}, [[]], [None], {"a": 1}, [{}], {"": {}}, [["x"]], {"0": "1"})
TEXTS = (
    "ZZZ",
    "Z" * 5000,
    "\ud800",
    "\x1b[31m\x07",
    "a\nb\r\nc",
    "\x00",
    "💥",
    "../../etc/passwd",
    "'; DROP TABLE trade;--",
)
DATES = (
    "",
    "yesterday",
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Mon, 30 Feb 2026 25:61:00 GMT",
)
DATES += ("Mon, 02 Nov 2026 12:00:10 +9999", "0", "Mon, 02 Nov 2026 12:00:10", "Sat, 01 Jan 10000 00:00:00 GMT")
STATUSES = (201, 202, 204, 206, 301, 302, 304, 400, 401, 403, 404, 408, 418, 429, 500, 502, 503, 504, 520, 599)


@dataclass(frozen=True)
class Twist:
    """One thing done to an answer: which, and where in its tree (counted round and round), with what."""

    what: str
    where: int = 0
    value: Any = None


def tree_twists() -> st.SearchStrategy[Twist]:
    """Changes of the tree: it stays JSON, but not what it was."""
    values = st.sampled_from((*SHAPES, *FIGURES, *TEXTS)) | st.recursive(st.none(), st.lists, max_leaves=5)
    place = st.integers(0, 400)
    return (
        st.builds(Twist, st.just("replace"), place, values)
        | st.builds(Twist, st.sampled_from(("drop", "nest", "empty", "repeat", "turn")), place)
        | st.builds(Twist, st.just("rename"), place, st.sampled_from(TEXTS))
        | st.builds(Twist, st.just("add"), place, st.sampled_from((*SHAPES, *TEXTS)))
    )


def byte_twists() -> st.SearchStrategy[Twist]:
    """Changes of what goes over the wire: it may be no JSON at all, or good JSON in a bad envelope."""
    return (
        st.builds(Twist, st.just("cut"), st.integers(0, 400))
        | st.builds(Twist, st.just("insert"), st.integers(0, 400), st.binary(min_size=1, max_size=8))
        | st.builds(Twist, st.just("instead"), st.just(0), st.binary(max_size=40))
        | st.builds(Twist, st.just("deep"), st.sampled_from((50, 2_000, 100_000)), st.sampled_from(("[", '{"a":')))
        | st.builds(Twist, st.just("pad"), st.sampled_from((1_000, 3_000_000)))
        | st.builds(Twist, st.just("twice"))
        | st.builds(Twist, st.just("same key"), st.just(0), st.sampled_from(SHAPES))
        | st.builds(Twist, st.just("status"), st.sampled_from(STATUSES))
        | st.builds(Twist, st.just("date"), st.just(0), st.sampled_from(DATES))
        | st.builds(Twist, st.just("digits"), st.integers(0, 400), st.sampled_from((400, 5_000)))
    )


def twists() -> st.SearchStrategy[tuple[Twist, ...]]:
    """One twist, seldom more: each must be noticed by itself."""
    return st.lists(tree_twists() | byte_twists(), min_size=1, max_size=2).map(tuple)


def nodes(tree: Any) -> list[Node]:
    """Everything in a tree, the root's own children first."""
    found: list[Node] = []
    waiting = [tree]
    for container in waiting:
        keys = list(container) if isinstance(container, dict) else range(len(container))
        found += [(container, key) for key in keys]
        waiting += [container[key] for key in keys if isinstance(container[key], dict | list)]
    return found


def twist_tree(tree: Any, twist: Twist) -> Any:
    """`tree` after one change; as it was where the change means nothing."""
    tree = copy.deepcopy(tree)
    found = nodes(tree) if isinstance(tree, dict | list) else []
    if not found:
        return twist.value
    container, key = found[twist.where % len(found)]
    TREE_CHANGES[twist.what](container, key, twist.value)
    return tree


def _replace(container: Any, key: Any, value: Any) -> None:
    container[key] = value


def _drop(container: Any, key: Any, _value: Any) -> None:
    del container[key]


def _nest(container: Any, key: Any, _value: Any) -> None:
    container[key] = [container[key]]


def _empty(container: Any, key: Any, _value: Any) -> None:
    container[key] = type(container[key])() if isinstance(container[key], dict | list | str) else None


def _repeat(container: Any, key: Any, _value: Any) -> None:
    if isinstance(container, list):
        container.insert(key, container[key])
    else:
        container[f"{key}x"] = container[key]


def _turn(container: Any, key: Any, _value: Any) -> None:
    """A list becomes a dict of its places, and the other way round."""
    inner = container[key]
    if isinstance(inner, list):
        container[key] = {str(place): item for place, item in enumerate(inner)}
    elif isinstance(inner, dict):
        container[key] = list(inner.values())


def _rename(container: Any, key: Any, value: Any) -> None:
    if isinstance(container, dict):
        container[value] = container.pop(key)


def _add(container: Any, _key: Any, value: Any) -> None:
    if isinstance(container, list):
        container.append(value)
    else:
        container["added"] = value


TREE_CHANGES: dict[str, Callable[[Any, Any, Any], None]] = {
    "replace": _replace,
    "drop": _drop,
    "nest": _nest,
    "empty": _empty,
    "repeat": _repeat,
    "turn": _turn,
    "rename": _rename,
    "add": _add,
}


def twist_bytes(reply: Reply, twist: Twist) -> Reply:
    """The reply after one change of its bytes or of what stands around them."""
    body, place = reply.body, twist.where % (len(reply.body) + 1)
    match twist.what:
        case "cut":
            return replace(reply, body=body[:place])
        case "insert":
            return replace(reply, body=body[:place] + twist.value + body[place:])
        case "instead":
            return replace(reply, body=twist.value)
        case "deep":
            return replace(reply, body=b'{"error":[],"result":' + twist.value.encode() * twist.where)
        case "pad":
            return replace(reply, body=body + b" " * twist.where)
        case "twice":
            return replace(reply, body=body + body)
        case "same key":
            return replace(reply, body=body[:-1] + b',"result":' + json.dumps(twist.value).encode() + b"}")
        case "status":
            return replace(reply, status=twist.where)
        case "date":
            return replace(reply, date=twist.value)
        case "digits":
            return replace(reply, body=_with_digits(body, twist))
    raise ValueError(f"no twist is called {twist.what}")


def _with_digits(body: bytes, twist: Twist) -> bytes:
    """Some number in it becomes one of so many digits, which json itself may refuse to read."""
    try:
        tree = json.loads(body)
    except ValueError:  # the digits of an earlier twist
        return body
    found = nodes(tree) if isinstance(tree, dict | list) else []
    if not found:
        return body
    container, key = found[twist.where % len(found)]
    container[key] = "@@"
    return json.dumps(tree).encode().replace(b'"@@"', b"7" * twist.value)


def garbled(reply: Reply, changes: tuple[Twist, ...]) -> Reply:
    """A true reply after all of these changes, those of the tree first."""
    in_tree = [twist for twist in changes if twist.what in TREE_CHANGES]
    if in_tree:
        tree = json.loads(reply.body)
        for twist in in_tree:
            tree = twist_tree(tree, twist)
        reply = replace(reply, body=json.dumps(tree).encode())
    of_bytes = [twist for twist in changes if twist.what not in TREE_CHANGES]
    for twist in sorted(of_bytes, key=lambda twist: twist.what != "digits"):  # which needs what is JSON still
        reply = twist_bytes(reply, twist)
    return reply
