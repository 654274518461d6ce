"""docs/troubleshooting.md knows every exit status, reason and alert of the program, and no others."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from paypoll.alerts.listing_fees import alert_about_fee
from paypoll.alerts.orders import alert_about
from paypoll.exitcodes import ExitCode
from paypoll.payments.decision import Notice, NoticeKind, Reason
from paypoll.testing import a_fee, an_order

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src" / "paypoll").rglob("*.py"))
GUIDE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
GUIDES = {
    name: (ROOT / "docs" / name).read_text(encoding="utf-8")
    for name in ("troubleshooting.md", "deployment.md", "operation.md", "shop.md")
}
# By these AlertDesk tells of the whole; the key stands behind the connection.
POSTS = frozenset({"tell", "tell_of_trouble", "tell_of_recovery"})
# These hand on what their callers say; the last one an `OrderAlert`, which is found where it is made.
HANDS_ON = POSTS | {"tell_of_one_gone"}


# An order has no event to publish; a listing fee has no tickets, and nobody is told that it expired.
WITHOUT_WORDS = {
    ("orders.py", NoticeKind.NOT_LISTED),
    *(
        ("listing_fees.py", kind)
        for kind in (
            NoticeKind.EXPIRED,
            NoticeKind.REPLAYED,
            NoticeKind.ISSUED_BY_SHOP,
            NoticeKind.PAID_NOT_ISSUED,
        )
    ),
}


@dataclass(frozen=True)
class Alert:
    """An alert that some line of the program posts: the fixed start of its key, the fixed parts of its headline."""

    where: str
    key: str
    headline: tuple[str, ...]


def posted_alerts() -> Iterator[Alert]:
    """Find every kind of notice, every `OrderAlert(…)`, and every `….tell(connection, key, …)` in the program."""
    about_order = partial(alert_about, an_order(number="/", status="/"))
    about_fee = partial(alert_about_fee, a_fee(reference="/", status="/"))
    for kind in NoticeKind:
        subject = Reason.MISMATCH.value if kind is NoticeKind.REVIEW else "/"
        for where, words in (("orders.py", about_order), ("listing_fees.py", about_fee)):
            if (where, kind) in WITHOUT_WORDS:
                continue
            headline = words(Notice(kind, subject)).headline
            texts = tuple(re.findall(r"\w[^/]{2,}", headline.removesuffix(f": {subject}")))
            yield Alert(where, kind.value, texts)
    for source in SOURCES:
        tree = ast.parse(source.read_text(encoding="utf-8"))
        names = {
            node.targets[0].id: node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        for call in calls(tree):
            given = {keyword.arg: keyword.value for keyword in call.keywords}
            if isinstance(call.func, ast.Name) and call.func.id == "OrderAlert" and source.name != "orders.py":
                key = given["key"]
            elif isinstance(call.func, ast.Attribute) and call.func.attr in POSTS:
                key = call.args[1]
            else:
                continue
            texts = tuple(part for part in fixed_parts(given["headline"], names) if re.search(r"\w{3}", part))
            start = re.match(r"\w+", "".join(fixed_parts(key, names)))
            assert start, f"{source}:{call.lineno}: the key has no fixed start"
            yield Alert(f"{source.name}:{call.lineno}", start[0], texts)


def calls(node: ast.AST) -> Iterator[ast.Call]:
    """Find every call, but for those by which one way of posting hands on to another what its own callers say."""
    if isinstance(node, ast.FunctionDef) and node.name in HANDS_ON:
        return
    if isinstance(node, ast.Call):
        yield node
    for child in ast.iter_child_nodes(node):
        yield from calls(child)


def fixed_parts(node: ast.expr, names: dict[str, ast.expr]) -> Iterator[str]:
    """Yield the parts of a text that are the same every time."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=values):
            for value in values:
                yield from fixed_parts(value, names)
        case ast.FormattedValue(value=value) if isinstance(value, ast.Name):
            yield from fixed_parts(value, names)
        case ast.Name(id=name) if name in names:
            yield from fixed_parts(names[name], names)
        case ast.BinOp(left=left):
            yield from fixed_parts(left, names)


ALERTS = list(posted_alerts())


def section(heading: str) -> str:
    """Return the text below a heading, up to the next one of its kind or a higher one."""
    level = len(heading) - len(heading.lstrip("#"))
    found = re.search(rf"(?ms)^{re.escape(heading)}$(.*?)(?=^#{{1,{level}}} |\Z)", GUIDE)
    assert found, heading
    return found[1]


def test_alerts_are_found_in_the_program() -> None:
    # Should the way of posting them change, this finds out that the other tests here look at nothing.
    assert {"review", "paid_twice", "sumup_silent", "not_allowed", "smtp_down"} <= {alert.key for alert in ALERTS}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: f"{alert.key}-{alert.where}")
def test_alert_is_explained_under_its_key_and_subject(alert: Alert) -> None:
    lines = [line for line in section("## Alerts").splitlines() if f"| `{alert.key}` |" in line]
    assert lines, f"{alert.where}: no row for {alert.key}"
    assert any(all(text.strip(" :,;") in line for text in alert.headline) for line in lines), alert.headline


def test_no_alert_is_explained_that_does_not_exist() -> None:
    explained = re.findall(r"^\|[^|]+\| `(\w+)` \|", section("## Alerts"), re.MULTILINE)
    assert set(explained) == {alert.key for alert in ALERTS}


def test_every_reason_is_explained_once_and_no_other() -> None:
    explained = re.findall(r"^\| `(\w+)` \|", section("## Reasons"), re.MULTILINE)
    assert sorted(explained) == sorted(reason.value for reason in Reason)


def test_every_exit_status_is_explained_and_no_other() -> None:
    explained = re.findall(r"^\| ([\d, ]+) \|", section("## Exit statuses"), re.MULTILINE)
    assert sorted(int(code) for cell in explained for code in cell.split(",")) == sorted(int(code) for code in ExitCode)


def test_links_between_the_guides_lead_somewhere() -> None:
    anchors = {
        name: {
            re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in re.findall(r"(?m)^#+ (.+)$", text)
        }
        for name, text in GUIDES.items()
    }
    for name, text in GUIDES.items():
        for target in re.findall(r"\]\(([^)]+)\)", text):
            file, _, anchor = target.partition("#")
            assert (ROOT / "docs" / (file or name)).is_file(), target
            assert not anchor or anchor in anchors[file or name], target


def test_settings_that_the_guides_name_exist() -> None:
    example = (ROOT / "config.example.toml").read_text(encoding="utf-8")
    keys = set()
    part = ""
    for line in example.splitlines():
        if line.startswith("["):
            part = line.strip("[]")
        elif found := re.match(r"#?(\w+) = ", line):
            keys.add(f"{part}.{found[1]}")
    sections = {key.partition(".")[0] for key in keys}
    named = re.findall(r"`([a-z]+\.[a-z_]+)(?: = [^`]*)?`", "".join(GUIDES.values()))
    wanted = {re.sub(r"_credential$", "", name) for name in named if name.partition(".")[0] in sections}
    assert wanted
    assert wanted <= keys, wanted - keys
