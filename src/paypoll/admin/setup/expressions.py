"""What an expression of a Django settings file comes to, worked out from its text.

Nothing is imported, called or looked up on the disk: what cannot be known so is `Unknown`, with the reason. Sizes are
bounded, because the text is a stranger's. Only what settings files use is understood.
"""

import ast
import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

LARGEST = 10_000
"""Characters of a text, or entries of a list, that a value may have."""

_MOST_STEPS = 20_000
_MOST_DEPTH = 80
_LARGEST_NUMBER = 2**63
_TRUE = frozenset({"1", "true", "yes", "on", "y", "t"})
_AS_IT_IS = -1  # how the ast says that an f-string has no !r or !s
_PLACEHOLDER = re.compile(r"%(?:[sd]|\((\w+)\)[sd]|%)")


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that the text alone does not tell."""

    why: str


class TooMuchError(Exception):
    """The text asks for more work than any settings file needs."""


def truth(text: object) -> bool:
    """Return what settings take a text of the environment for, where they want a yes or a no."""
    return str(text).strip().lower() in _TRUE


class Expressions:
    """Works out expressions, given the names that are known so far and the environment's variables."""

    def __init__(self, names: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        self._names = names
        self._environ = environ
        self._steps = 0
        self._depth = 0

    def value(self, node: ast.AST) -> Any:
        """Return the value of an expression; Unknown if the text does not tell. Raise TooMuchError at a bound."""
        self._steps += 1
        self._depth += 1
        try:
            if self._steps > _MOST_STEPS or self._depth > _MOST_DEPTH:
                raise TooMuchError
            work = getattr(self, f"_{type(node).__name__.lower()}", None)
            if work is None:
                return Unknown(f"line {getattr(node, 'lineno', '?')} is worked out by Python itself")
            return _bounded(work(node))
        except (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError):
            return Unknown(f"line {getattr(node, 'lineno', '?')} cannot be followed")
        finally:
            self._depth -= 1

    # --- by the kind of node: looked up by its name -----------------------------------------------------------

    def _constant(self, node: ast.Constant) -> Any:
        return node.value

    def _name(self, node: ast.Name) -> Any:
        return self._names.get(node.id, Unknown(f"{node.id} is not set in the text"))

    def _list(self, node: ast.List | ast.Tuple | ast.Set) -> list[Any]:
        found: list[Any] = []
        for part in node.elts:
            if isinstance(part, ast.Starred):
                more = self.value(part.value)
                found += more if isinstance(more, list) else [more]
            else:
                found.append(self.value(part))
            _bounded(found)
        return found

    _tuple = _set = _list

    def _dict(self, node: ast.Dict) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                more = self.value(value)
                found |= more if isinstance(more, dict) else {}
            else:
                found[_hashable(self.value(key))] = self.value(value)
        return found

    def _joinedstr(self, node: ast.JoinedStr) -> Any:
        parts = [self.value(part) for part in node.values]
        return next((part for part in parts if isinstance(part, Unknown)), None) or _strung(parts)

    def _formattedvalue(self, node: ast.FormattedValue) -> Any:
        value = self.value(node.value)
        is_plain = node.format_spec is None and node.conversion == _AS_IT_IS
        return value if is_plain else Unknown("a value is formatted")

    def _boolop(self, node: ast.BoolOp) -> Any:
        value: Any = None
        for part in node.values:
            value = self.value(part)
            if isinstance(value, Unknown) or bool(value) == isinstance(node.op, ast.Or):
                return value
        return value

    def _unaryop(self, node: ast.UnaryOp) -> Any:
        value = self.value(node.operand)
        if isinstance(value, Unknown):
            return value
        match node.op:
            case ast.Not():
                return not value
            case ast.USub():
                return -value
        return Unknown("an operation on bits")

    def _ifexp(self, node: ast.IfExp) -> Any:
        test = self.value(node.test)
        return test if isinstance(test, Unknown) else self.value(node.body if test else node.orelse)

    def _compare(self, node: ast.Compare) -> Any:
        left, right = self.value(node.left), self.value(node.comparators[0])
        for value in (left, right):
            if isinstance(value, Unknown):
                return value
        if len(node.ops) > 1 or not (_is_flat(left) and _is_flat(right)):
            return Unknown("a comparison that settings seldom have")
        match node.ops[0]:
            case ast.Eq() | ast.Is():
                return left == right
            case ast.NotEq() | ast.IsNot():
                return left != right
            case ast.In():
                return left in right
            case ast.NotIn():
                return left not in right
        return Unknown("a comparison of sizes")

    def _binop(self, node: ast.BinOp) -> Any:
        left, right = self.value(node.left), self.value(node.right)
        for value in (left, right):
            if isinstance(value, Unknown):
                return value
        match node.op:
            case ast.Add():
                return [*left, *right] if isinstance(left, list) else left + right
            case ast.Div() if isinstance(left, PurePosixPath):
                return _path(left, right)
            case ast.Mult() if isinstance(left, int) and isinstance(right, int):
                return left * right if max(abs(left), abs(right)) < _LARGEST_NUMBER else Unknown("a large number")
            case ast.BitOr() if isinstance(left, dict):
                return left | right
            case ast.Mod() if isinstance(left, str):
                return _filled(left, right)
        return Unknown("an operation that settings seldom have")

    def _attribute(self, node: ast.Attribute) -> Any:
        name = dotted(node)
        if name == "sys.argv":
            return ["manage.py"]  # so that `if "test" in sys.argv` is a no
        value = self.value(node.value)
        if isinstance(value, PurePosixPath) and node.attr in {"parent", "name", "parents"}:
            return list(value.parents) if node.attr == "parents" else getattr(value, node.attr)
        return Unknown(f"{name or node.attr} is worked out by Python itself")

    def _subscript(self, node: ast.Subscript) -> Any:
        if dotted(node.value) in {"os.environ", "environ", "env"}:
            return self._variable(self.value(node.slice), Unknown)
        whole, key = self.value(node.value), self.value(node.slice)
        return whole if isinstance(whole, Unknown) else whole[key]

    def _call(self, node: ast.Call) -> Any:
        name = dotted(node.func)
        given = [self.value(one) for one in node.args if not isinstance(one, ast.Starred)]
        named = {one.arg: self.value(one.value) for one in node.keywords if one.arg and one.arg != "cast"}
        cast = next((dotted(one.value) or "csv" for one in node.keywords if one.arg == "cast"), "")
        if (variable := _variable_kind(name)) is not None:
            return self._from_environment(variable or cast, given, named)
        if name in _FUNCTIONS:
            unknown = next((one for one in (*given, *named.values()) if isinstance(one, Unknown)), None)
            return unknown or _FUNCTIONS[name](*given, **named)
        if isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS:
            whole = self.value(node.func.value)
            unknown = next((one for one in (whole, *given) if isinstance(one, Unknown)), None)
            return unknown or _METHODS[node.func.attr](whole, *given)
        return Unknown(f"{name or 'a function'}() is called for it")

    # --- the environment --------------------------------------------------------------------------------------

    def _variable(self, name: object, otherwise: Any) -> Any:
        if isinstance(name, str) and name in self._environ:
            return self._environ[name]
        if otherwise is Unknown:
            return Unknown(f"the shop's environment variable {name} is not known here")
        return otherwise

    def _from_environment(self, kind: str, given: list[Any], named: dict[str, Any]) -> Any:
        is_address = kind in {"db", "db_url", "database"}
        name = given[0] if given else named.get("var") or named.get("env") or ("DATABASE_URL" if is_address else None)
        otherwise = given[1] if len(given) > 1 else named.get("default", None if kind == "getenv" else Unknown)
        text = self._variable(name, otherwise)
        if not isinstance(text, str):
            return text
        match kind:
            case "db" | "db_url" | "database":
                return {"URL": text}
            case "bool":
                return truth(text)
            case "int":
                return int(text)
            case "list" | "tuple" | "csv" | "Csv":
                return [part.strip() for part in text.split(",") if part.strip()]
        return text


def dotted(node: ast.AST) -> str:
    """Return a name such as os.path.join as it is written; empty for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute) and len(parts) < _MOST_DEPTH:
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def _variable_kind(function: str) -> str | None:
    """Return how a function takes a variable of the environment; empty: as text. None: it takes none."""
    match function.split("."):
        case ["os", "environ", "get"] | ["environ", "get"] | ["os", "getenv"] | ["getenv"]:
            return "getenv"
        case ["env"] | ["config"] | ["decouple", "config"] | ["env" | "config", "str"]:
            return ""
        case ["env", kind]:
            return kind
        case ["dj_database_url", "config"]:
            return "database"
    return None


def _bounded(value: Any) -> Any:
    if isinstance(value, str | bytes | list | dict) and len(value) > LARGEST:
        raise TooMuchError
    if isinstance(value, PurePosixPath) and len(str(value)) > LARGEST:
        raise TooMuchError
    return value


def _text(value: Any) -> str:
    """Return a plain value as text. Raise TypeError for others: a list of lists of the same list has no end."""
    if not isinstance(value, str | int | float | bool | PurePosixPath | None):
        raise TypeError
    return str(value)


def _strung(parts: list[Any]) -> str:
    """Return the parts as one text, which is looked at before it is made."""
    texts = [_text(part) for part in parts]
    if sum(map(len, texts)) > LARGEST:
        raise TooMuchError
    return "".join(texts)


def _is_flat(value: Any) -> bool:
    """Say whether comparing it with another one has an end."""
    return not isinstance(value, list | dict) or not any(isinstance(part, list | dict) for part in value)


def _hashable(key: Any) -> Any:
    return key if isinstance(key, str | int) else _text(key)


def _filled(pattern: str, values: Any) -> Any:
    """Return `pattern % values` for the plain kinds of placeholder, whose results are no longer than their parts."""
    left = iter(values) if isinstance(values, list) else iter([values])
    parts: list[Any] = []
    end = 0
    for match in _PLACEHOLDER.finditer(pattern):
        parts += [pattern[end : match.start()]]
        parts += ["%" if match[0] == "%%" else values[match[1]] if match[1] else next(left, None)]
        end = match.end()
    if "%" in pattern[end:]:
        return Unknown("a text is filled in a way that settings seldom have")
    return _strung([*parts, pattern[end:]])


def _joined(*parts: Any) -> str:
    _strung(list(parts))
    return posixpath.join(*map(_text, parts))


def _path(*parts: Any) -> PurePosixPath:
    return PurePosixPath(_joined(*parts)) if parts else PurePosixPath()


def _normal(path: Any) -> Any:
    normal = posixpath.normpath(_text(path))
    return PurePosixPath(normal) if isinstance(path, PurePosixPath) else normal


def _parent(path: Any) -> str:
    return posixpath.dirname(_text(path))


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "Path": _path,
    "pathlib.Path": _path,
    "PosixPath": _path,
    "os.path.join": _joined,
    "join": _joined,
    "os.path.dirname": _parent,
    "dirname": _parent,
    "os.path.abspath": _normal,
    "abspath": _normal,
    "os.path.realpath": _normal,
    "os.path.normpath": _normal,
    "str": lambda value="": _text(value),
    "int": lambda value=0: int(value),
    "bool": lambda value=False: bool(value),
    "list": lambda value=(): list(value),
    "tuple": lambda value=(): list(value),
    "dict": lambda **named: named,
    "_": lambda text: text,
    "gettext": lambda text: text,
    "gettext_lazy": lambda text: text,
    "dj_database_url.parse": lambda url, **_options: {"URL": url},
}
_METHODS: dict[str, Callable[..., Any]] = {
    "lower": lambda text: text.lower(),
    "upper": lambda text: text.upper(),
    "strip": lambda text, *what: text.strip(*what),
    "rstrip": lambda text, *what: text.rstrip(*what),
    "lstrip": lambda text, *what: text.lstrip(*what),
    "split": lambda text, *by: text.split(*by),
    "startswith": lambda text, start: text.startswith(start),
    "endswith": lambda text, end: text.endswith(end),
    "resolve": _normal,
    "absolute": _normal,
    "as_posix": _text,
    "joinpath": _path,
    "get": lambda whole, key, otherwise=None: whole.get(key, otherwise),
}
