"""The database's address."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, make_url

from paypoll.settings.database_url import masked_url, normal_url, passwords_in


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2"])
@pytest.mark.parametrize(
    "rest",
    [
        "/shop",
        "u@/shop?host=/run/postgresql",
        "u:p%40ss@db.example:5433/shop?sslmode=require",
        "u@[::1]:5432/d",
        "u@h/d?hostaddr=::1&port=5433",
    ],
)
def test_postgresql_address_in_any_form_names_psycopg2(scheme: str, rest: str) -> None:
    assert normal_url(f"{scheme}://{rest}") == f"postgresql+psycopg2://{rest}"


@pytest.mark.parametrize(
    ("rest", "host", "port", "others"),
    [
        ("u:p%40ss@one:5432,two:5433/shop", "one,two", "5432,5433", {}),
        ("u:p%40ss@one,two:5433/shop?sslmode=require", "one,two", ",5433", {"sslmode": "require"}),
        ("u:p%40ss@one,two/shop?target_session_attrs=any", "one,two", ",", {"target_session_attrs": "any"}),
        ("u:p%40ss@[::1]:5432,[fe80::1]/shop", "::1,fe80::1", "5432,", {}),
        ("u:p%40ss@/shop?host=one,two&port=5432,5433", "one,two", "5432,5433", {}),
        ("u:p%40ss@/shop?host=one:5432&host=two:5433", "one,two", "5432,5433", {}),
        ("u:p%40ss@one,two/shop?target_session_attrs=primary", "one,two", ",", {"target_session_attrs": "primary"}),
    ],
)
def test_address_of_several_hosts_is_what_libpq_reads(rest: str, host: str, port: str, others: dict[str, str]) -> None:
    url = make_url(normal_url(f"postgresql://{rest}"))
    _, read = create_engine(url).dialect.create_connect_args(url)
    login = {"user": "u", "password": "p@ss", "dbname": "shop"}
    assert read == {**login, "host": host, "port": port, "target_session_attrs": "read-write", **others}


def test_address_of_several_hosts_takes_a_password_given_apart() -> None:
    url = make_url(normal_url("postgresql://u@one:5432,two/shop", "s/e:c@ret"))
    assert (url.username, url.password, url.query["host"]) == ("u", "s/e:c@ret", "one,two")


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ("u:hunter2@h/d?pgbouncer=true&connection_limit=1", "'pgbouncer'"),
        ("u:hunter2@h/d?sslmode=require&connection_limit=1", "'connection_limit'"),
        ("u:hunter2@h/d?a%20b=1", "'a b'"),
        ("u:hunter2@one,two/d?host=three", "before the"),
        ("u:hunter2@one,two/d?hostaddr=10.0.0.1", "before the"),
        ("u:hunter2@localhost/d?host=127.0.0.1", "before the"),
        ("u:hunter2@localhost:5433/d?port=5432", "before the"),
        ("u:hunter2@one,,two/d", "is empty"),
        ("u:hunter2@one:1,two:99999/d", "port"),
        ("u:hunter2@/d?host=h&port=x", "port"),
        ("u:hunter2@/d?host=one:5432,two:5433", "has a port in the host"),
        ("u:hunter2@/d?host=one&host=two&port=1&port=2", "in two ways"),
        ("u:hunter2@/d?host=one&host=two&port=1,2", "in two ways"),
        ("u:hunter2@/d?host=one&port=1&port=2", "in two ways"),
        ("u:hunter2@h/d?sslmode=require&sslmode=prefer", "'sslmode' twice"),
        ("u:hunter2@one,two/d?target_session_attrs=standby", "must be read-write"),
        ("u:hunter2@h/d?target_session_attrs=rubbish", "must be read-write"),
    ],
)
def test_address_that_libpq_would_not_take_is_refused_with_the_reason(rest: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        normal_url(f"postgresql://{rest}")
    assert "hunter2" not in str(caught.value)


def test_sqlite_address_with_a_full_path_is_kept() -> None:
    assert normal_url("sqlite:////tmp/my shop.db") == "sqlite:////tmp/my shop.db"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hunter2",
        "mysql://u:hunter2@h/d",
        "postgresql+psycopg://u:hunter2@h/d",
        "postgresql:u:hunter2@h/d",
        "postgresql://u:hunter2@h:99999/d",
        "postgresql://u:hunter2@h:port/d",
        "postgresql://u:hun@ter2@h/d",
        "postgresql://u:hunter2@h/d\n",
        "sqlite://",
        "sqlite:///shop.db",
        "sqlite://u:hunter2@h/tmp/shop.db",
    ],
)
def test_database_address_that_will_not_do_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is checked below
        normal_url(url)
    assert "hunter2" not in str(caught.value)
    assert "ter2" not in str(caught.value)


@given(st.text("aZ0%@:/?#[]&=+ \"'\\é€", min_size=1))
def test_password_given_apart_is_what_sqlalchemy_reads(password: str) -> None:
    read = make_url(normal_url("postgresql://user@db.example:5433/shop?sslmode=require", password))
    assert (read.password, read.username, read.host, read.port) == (password, "user", "db.example", 5433)
    assert (read.database, dict(read.query)) == ("shop", {"sslmode": "require"})


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://u:one@h/d", "keep one"),
        ("postgresql://u@h/d?password=one", "keep one"),
        ("postgresql:///d", "needs a user"),
        ("sqlite:////d.db", "no password"),
    ],
)
def test_password_given_apart_where_it_cannot_be_is_refused(url: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        normal_url(url, "hunter2")


@pytest.mark.parametrize(
    ("url", "passwords", "shown"),
    [
        ("postgresql://u:p%40ss@h/d", ("p@ss",), "postgresql://u:***@h/d"),
        ("postgresql://h/d?password=a&sslpassword=b", ("a", "b"), "postgresql://h/d?password=***&sslpassword=***"),
        ("postgresql://u:a?b@h/d?x=1", ("a?b",), "postgresql://u:***@h/d?x=1"),
        ("postgresql://u@h/d", (), "postgresql://u@h/d"),
        ("garbage:hunter2", (), "***"),
    ],
)
def test_passwords_in_the_address_are_found_and_masked(url: str, passwords: tuple[str, ...], shown: str) -> None:
    assert passwords_in(url) == passwords
    assert masked_url(url) == shown
