"""A Django settings module, read as text: its statements in order, with the modules that it takes in.

The code is never run. What a statement makes of a name is kept as far as the text tells it (`expressions`).
"""

import ast
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from paypoll.admin.setup.expressions import LARGEST, Expressions, TooMuchError, Unknown, dotted

_MOST_MODULES = 20


@dataclass(frozen=True, slots=True)
class Module:
    """The text of a module, and the file that it is in."""

    text: str
    file: PurePosixPath


ReadModule = Callable[[str], Module | None]
"""Returns a module of the shop by its dotted name; None: the shop has none of this name."""


class UnreadableSettingsError(Exception):
    """The text is no Python, or too much of it. The sentence says which module, and shows none of it."""


def read_django_settings(name: str, read: ReadModule, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings that the module of this dotted name makes, as far as the text tells them.

    `environ` is the shop's environment. A value, or a part of one, that cannot be told is Unknown.
    """
    reader = _Reader(read, environ)
    try:
        reader.take_in(name)
    except (TooMuchError, RecursionError):
        raise UnreadableSettingsError(f"{name} is more than a settings module needs") from None
    return {key: value for key, value in reader.names.items() if key.isupper()}


class _Reader:
    def __init__(self, read: ReadModule, environ: Mapping[str, str], seen: set[str] | None = None) -> None:
        self.names: dict[str, Any] = {}
        self._read = read
        self._environ = environ
        self._seen = set[str]() if seen is None else seen
        self._expressions = Expressions(self.names, environ)
        self._package = ""

    def take_in(self, name: str) -> bool:
        """Follow a module's statements, as `from … import *` does. False: the shop has no such module."""
        if name in self._seen:
            return True
        if len(self._seen) >= _MOST_MODULES:
            raise TooMuchError
        self._seen.add(name)
        module = self._read(name)
        if module is None:
            return False
        before = self._package, self.names.get("__file__")
        is_package = module.file.name == "__init__.py"
        self._package = name if is_package else name.rpartition(".")[0]
        self.names["__file__"] = str(module.file)
        self._follow(_parsed(name, module.text).body)
        self._package, self.names["__file__"] = before
        return True

    def _follow(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            match statement:
                case ast.Assign(targets=targets, value=value):
                    for target in targets:
                        self._assign(target, self._expressions.value(value))
                case ast.AnnAssign(target=target, value=ast.expr() as value):
                    self._assign(target, self._expressions.value(value))
                case ast.AugAssign(target=target, op=op, value=value):
                    both = ast.BinOp(target, op, value, lineno=statement.lineno, col_offset=0)
                    self._assign(target, self._expressions.value(both))
                case ast.If():
                    self._choose(statement)
                case ast.ImportFrom():
                    self._import(statement)
                case ast.Try():
                    self._try(statement)
                case ast.With(body=body):
                    self._forget(body, "it is set within a `with`")
                case ast.For(body=body) | ast.While(body=body):
                    self._forget(body, "it is set in a loop")
                case ast.Expr(value=ast.Call() as call):
                    self._change(call)

    def _assign(self, target: ast.expr, value: Any) -> None:
        match target:
            case ast.Name(id=name):
                self.names[name] = value
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                values = value if isinstance(value, list) and len(value) == len(parts) else None
                for position, part in enumerate(parts):
                    self._assign(part, values[position] if values else Unknown("several are set at once"))
            case ast.Subscript(value=whole, slice=key):
                there, at = self._expressions.value(whole), self._expressions.value(key)
                if isinstance(there, dict) and isinstance(at, str):
                    there[at] = value

    def _choose(self, statement: ast.If) -> None:
        test = self._expressions.value(statement.test)
        if isinstance(test, Unknown):
            self._forget([*statement.body, *statement.orelse], f"it hangs on what is not known: {test.why}")
        else:
            self._follow(statement.body if test else statement.orelse)

    def _try(self, statement: ast.Try) -> None:
        for one in statement.body:
            if isinstance(one, ast.ImportFrom) and not self._import(one):
                for handler in statement.handlers:
                    self._follow(handler.body)
                break
            self._follow([one])
        else:
            self._follow(statement.orelse)
        self._follow(statement.finalbody)

    def _import(self, statement: ast.ImportFrom) -> bool:
        """Take in a module of the shop. False: it should be the shop's own, and is not there."""
        name = statement.module or ""
        if statement.level:
            parents = self._package.split(".")
            parents = parents[: len(parents) - statement.level + 1]
            name = ".".join([*parents, name] if name else parents)
        names = {one.name: one.asname or one.name for one in statement.names}
        if "*" in names:
            return self.take_in(name)
        if not statement.level and name.split(".")[0] != self._package.split(".")[0]:
            return True  # a library's
        # Only the names that are asked for; the others would be taken for settings of this module.
        inner = _Reader(self._read, self._environ, self._seen)
        found = inner.take_in(name)
        for asked, called in names.items():
            self.names[called] = inner.names.get(asked, Unknown(f"{asked} of {name} is not a plain value"))
        return found

    def _forget(self, statements: list[ast.stmt], why: str) -> None:
        """Let nobody rely on what these statements, which may or may not be run, would set."""
        for statement in statements:
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    self.names[node.id] = Unknown(why)
                elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
                    self._assign(node, Unknown(why))

    def _change(self, call: ast.Call) -> None:
        """`DATABASES["default"].update(…)`, `X.append(…)`, `X.extend(…)`."""
        if not isinstance(call.func, ast.Attribute):
            return
        whole = self._expressions.value(call.func.value)
        given = [self._expressions.value(one) for one in call.args]
        match call.func.attr, whole, given:
            case "update", dict(), [dict() as more]:
                whole.update(more)
            case "update", dict(), []:
                whole.update({one.arg: self._expressions.value(one.value) for one in call.keywords if one.arg})
            case "update", dict(), _ if not dotted(call.func.value):
                whole.clear()  # with what is not known: better nothing than what it was before
            case "append", list(), [one]:
                whole.append(one)
            case "extend", list(), [list() as more]:
                whole.extend(more[: LARGEST - len(whole)])


def _parsed(name: str, text: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the stranger's own slips
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise UnreadableSettingsError(f"{name} is not Python that can be read") from None
