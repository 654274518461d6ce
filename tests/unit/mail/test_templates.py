"""The operator's own templates: they take the place of ours, and say where they are broken."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from paypoll.mail.content import templating
from paypoll.mail.content.compose import ComposeOptions, Composer
from paypoll.mail.content.reading import ComposeError
from paypoll.mail.content.samples import SAMPLES, template_problems, without_commands


def a_composer(folder: Path | None) -> Composer:
    return Composer(
        ComposeOptions(
            site_name="Jersey Events",
            base_url="https://shop.example.org",
            support_email="help@example.org",
            sender="tickets@example.org",
            time_zone=ZoneInfo("Europe/Jersey"),
            template_folder=folder,
        )
    )


def subject_and_text(composer: Composer, kind: str) -> tuple[str, str]:
    """Compose a sample and return its subject and text."""
    message = composer.compose(
        kind,
        SAMPLES[kind].to_json(),
        message_id="<1@example.org>",
        date=datetime(2026, 11, 23, tzinfo=UTC),
        to=["ada@example.org"],
    )
    part = message.get_body(("plain",))
    assert part is not None
    return str(message["Subject"]), part.get_content()


def test_own_templates_have_no_problem() -> None:
    assert template_problems(a_composer(None)) == []


def test_template_in_the_folder_takes_the_place_of_ours(tmp_path: Path) -> None:
    (tmp_path / "confirmation.subject.txt").write_text("Vos billets\n  – {{ mail.order_number }}\n", encoding="utf-8")
    (tmp_path / "greeting.txt").write_text("Bonjour {{ mail.customer_name }},", encoding="utf-8")
    composer = a_composer(tmp_path)
    subject, text = subject_and_text(composer, "confirmation")
    assert subject == "Vos billets – ORD-1001"
    assert text.startswith("Bonjour Ada Le Sueur,")
    assert subject_and_text(composer, "payment_failed")[0] == "Your payment did not go through - order ORD-1001"


@pytest.mark.parametrize(
    "broken",
    [
        "{% if %}",
        "{{ mail.no_such_thing }}",
        "{{ no_such_thing }}",
        "{{ 1 / 0 }}",
        "{{ mail.total + 'x' }}",
        "{{ mail.order_number | money }}",
        "{{ mail | no_such_filter }}",
        "{% include 'no-such-file.txt' %}",
        "{{ site.site_name.no() }}",
        "{{ mail.order_number | day }}",
    ],
)
def test_broken_template_is_an_error_that_names_file_and_line(tmp_path: Path, broken: str) -> None:
    (tmp_path / "greeting.txt").write_text(f"Hello\n\n{broken}\n", encoding="utf-8")
    with pytest.raises(ComposeError) as raised:
        subject_and_text(a_composer(tmp_path), "confirmation")
    shown = str(raised.value)
    assert "no-such-file.txt" in shown or (str(tmp_path / "greeting.txt") in shown and "line 3" in shown)
    # It is included by three kinds of mail; alerts greet nobody.
    assert shown in template_problems(a_composer(tmp_path))


def test_alert_of_an_older_release_is_known_by_the_commands_that_it_lacks(tmp_path: Path) -> None:
    assert without_commands(a_composer(None)) == []
    (tmp_path / "alert.txt").write_text("{{ mail.what_happened }}\n", encoding="utf-8")
    assert without_commands(a_composer(tmp_path)) == ["alert.txt"]


def test_template_that_breaks_several_kinds_of_mail_is_one_problem(tmp_path: Path) -> None:
    (tmp_path / "layout.html").write_text("{% block title %}", encoding="utf-8")
    assert len(template_problems(a_composer(tmp_path))) == 1


def test_own_html_takes_nothing_from_plain_text_that_would_not_be_escaped() -> None:
    pages = list((Path(templating.__file__).parents[1] / "templates").glob("*.html"))
    assert len(pages) > 4
    assert [page.name for page in pages if ".txt" in page.read_text(encoding="utf-8")] == []


def test_template_that_is_not_utf8_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "greeting.txt").write_bytes(b"Hello\nGr\xfc\xdfe")
    with pytest.raises(ComposeError, match=r"greeting\.txt, line 2"):
        subject_and_text(a_composer(tmp_path), "confirmation")


def test_template_folder_that_is_not_there_leaves_ours(tmp_path: Path) -> None:
    subject, _ = subject_and_text(a_composer(tmp_path / "nowhere"), "payment_failed")
    assert subject == "Your payment did not go through - order ORD-1001"
