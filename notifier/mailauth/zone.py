"""A resolver over a dict, for tests, dry runs and corrected records that nobody has published yet."""

from collections.abc import Mapping
from typing import NamedTuple

from notifier.mailauth.answers import Answer, Resolver, Status

TIMEOUT = "TIMEOUT"
_NO_ANSWER = frozenset({TIMEOUT, "SERVFAIL"})
_MAX_CNAME_CHAIN = 10

Zone = Mapping[str, object]  # name -> {type: values} or TIMEOUT


def txt_text(value: str | bytes) -> str:
    """TXT octets as text: UTF-8 where they are that, else one character per octet."""
    if isinstance(value, str):
        return value
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def txt_answer(values: list[tuple[str, ...]], ttl: float = 0.0) -> Answer:
    # RFC 7208 section 3.3: the strings of one record are joined without adding spaces.
    return Answer(Status.OK, tuple("".join(parts) for parts in values), tuple(values), ttl)


class _Node(NamedTuple):
    down: bool
    types: dict[str, Answer]
    cname: str | None


_NODATA = Answer(Status.NODATA)
_NXDOMAIN = Answer(Status.NXDOMAIN)
_TIMED_OUT = Answer(Status.UNAVAILABLE, detail="the name server did not answer in time")
_LOOP = Answer(Status.UNAVAILABLE, detail="the CNAME chain does not end")


class StaticResolver:
    """Answers from `{name: {type: [values] | "TIMEOUT"} | "TIMEOUT"}`; "SERVFAIL" is as good as "TIMEOUT".

    Names and types are case-insensitive and a trailing dot is ignored. A TXT value is a str or bytes, or a
    list or tuple of its strings; an MX value is "10 host" or (10, "host"). CNAMEs are followed.
    """

    def __init__(self, zone: Zone) -> None:
        self._nodes: dict[str, _Node] = {}
        self._parents: set[str] = set()  # empty non-terminals exist: NODATA, not NXDOMAIN (RFC 8020)
        for name, content in zone.items():
            key = name.rstrip(".").lower()
            self._nodes[key] = _node(content)
            while "." in key:
                key = key.partition(".")[2]
                self._parents.add(key)

    async def query(self, name: str, rtype: str) -> Answer:
        node = self._nodes.get(name)  # evaluators ask in lower case, and for types in capitals
        answer = None if node is None else node.types.get(rtype)
        if answer is not None:
            return answer
        return self._follow(name.rstrip(".").lower(), rtype.upper())

    def _follow(self, name: str, rtype: str) -> Answer:
        for _ in range(_MAX_CNAME_CHAIN):
            node = self._nodes.get(name)
            if node is None:
                return _NODATA if name in self._parents else _NXDOMAIN
            if node.down:
                return _TIMED_OUT
            if node.cname is None or rtype in node.types:
                return node.types.get(rtype, _NODATA)
            name = node.cname
        return _LOOP


class OverlayResolver:
    """Another resolver, with the TXT records of some names replaced: "what if this were published?"."""

    def __init__(self, inner: Resolver, txt: Mapping[str, str]) -> None:
        self._inner = inner
        self._txt = {name.rstrip(".").lower(): text for name, text in txt.items()}

    async def query(self, name: str, rtype: str) -> Answer:
        text = self._txt.get(name.rstrip(".").lower()) if rtype == "TXT" else None
        if text is not None:
            return txt_answer([(text,)])
        return await self._inner.query(name, rtype)


def _node(content: object) -> _Node:
    if isinstance(content, (list, tuple)) and len(content) == 1:
        content = content[0]
    if isinstance(content, str):
        if not _unanswered(content):
            raise ValueError(f"a whole name can only be {TIMEOUT!r}, not {content!r}")
        return _Node(True, {}, None)
    if not isinstance(content, Mapping):
        raise TypeError(f"a zone entry is a mapping of types, not {type(content).__name__}")
    types: dict[str, Answer] = {}
    cname: str | None = None
    for rtype, values in content.items():
        kind = str(rtype).upper()
        if kind == "SPF":
            continue  # RFC 7208 section 3.1: type 99 is obsolete and never asked
        if kind == "CNAME" and _listed(values):
            cname = str(_listed(values)[0]).rstrip(".").lower()
        else:
            types[kind] = _answer(kind, _listed(values))
    return _Node(False, types, cname)


def _unanswered(value: object) -> bool:
    return isinstance(value, str) and value.upper() in _NO_ANSWER


def _listed(values: object) -> list[object]:
    if values is None:
        return []
    if isinstance(values, (str, bytes)):
        return [values]
    if isinstance(values, (list, tuple)):
        return list(values)
    raise TypeError(f"zone values are a list, not {type(values).__name__}")


def _answer(rtype: str, values: list[object]) -> Answer:
    if any(_unanswered(value) for value in values):
        return _TIMED_OUT
    if not values:
        return _NODATA
    if rtype == "TXT":
        return txt_answer([tuple(txt_text(_octets(part)) for part in _listed(value)) for value in values])
    if rtype == "MX":
        if isinstance(values[0], int):  # one pair that stands by itself
            values = [tuple(values)]
        return Answer(Status.OK, tuple(_mx(value) for value in values))
    return Answer(Status.OK, tuple(str(value) for value in values))


def _octets(part: object) -> str | bytes:
    if isinstance(part, (str, bytes)):
        return part
    raise TypeError(f"a TXT string is text, not {type(part).__name__}")


def _mx(value: object) -> str:
    parts = [str(part) for part in value] if isinstance(value, (list, tuple)) else str(value).split()
    return " ".join(parts if len(parts) > 1 else ["0", *parts])
