"""A Django shop's settings, read as text: many forms of the same facts, and texts that mean harm."""

import os
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from paypoll.admin.setup import shop_folder
from paypoll.admin.setup.django_settings import Module, UnreadableSettingsError, read_django_settings
from paypoll.admin.setup.expressions import Unknown
from paypoll.admin.setup.shop_facts import facts_of, login_of_url
from paypoll.admin.setup.shop_folder import NoShopError, ShopFolder, values_of, variables_of

PASSWORD = "s3cret-of-the-shop"
SECONDS = 5.0


def read(environ: dict[str, str] | None = None, **modules: str) -> dict[str, Any]:
    """Return the settings of the shop whose modules these are; `settings` is the first."""

    def module(name: str) -> Module | None:
        short = name.removeprefix("shop.")
        text = modules.get(short)
        return None if text is None else Module(text, PurePosixPath(f"/srv/shop/shop/{short}.py"))

    return read_django_settings("shop.settings", module, environ or {})


_DATABASE = """
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "shop", "USER": "shop",
    "PASSWORD": %s, "HOST": "127.0.0.1", "PORT": "5433", "OPTIONS": {"sslmode": "require"}}}
"""


@pytest.mark.parametrize(
    "text",
    [
        (
            f'DATABASES = {{"default": dict(ENGINE="django.contrib.gis.db.backends.postgis", NAME="shop",'
            f' HOST="127.0.0.1", USER="shop", PASSWORD="{PASSWORD}", PORT=5433, OPTIONS=dict(sslmode="require"))}}'
        ),
        "import os\n" + _DATABASE % 'os.environ["DB_PASSWORD"]',
        "import os\n" + _DATABASE % 'os.getenv("DB_PASSWORD", "wrong")',
        "from decouple import config\n" + _DATABASE % 'config("DB_PASSWORD", default="wrong", cast=str)',
        "import environ\nenv = environ.Env()\n" + _DATABASE % 'env.str("DB_PASSWORD")',
        'DATABASES = {"default": env.db()}',
        'DATABASES = {"default": env.db("DATABASE_URL", default="postgres://no/no")}',
        'DATABASES = {"default": dj_database_url.config(conn_max_age=600, ssl_require=True)}',
        'DATABASES = {"default": dj_database_url.parse(os.environ.get("DATABASE_URL"))}',
        "from .base import *\nDATABASES['default']['PASSWORD'] = os.environ['DB_PASSWORD']",
        "from .base import *\nDATABASES['default'].update({'PASSWORD': os.environ['DB_PASSWORD']})",
        "from .base import *\nDATABASES['default'].update(PASSWORD=os.environ['DB_PASSWORD'])",
        "from . import base\nfrom shop.base import DATABASES\nDATABASES['default'] |= {'PASSWORD': env('DB_PASSWORD')}",
        (
            "try:\n    from .local import *\nexcept ImportError:\n    from .base import *\n    LATER = 1\n"
            "if os.environ.get('DEBUG', '0') == '1':\n    DATABASES = {}\nelse:\n"
            "    DATABASES['default']['PASSWORD'] = f\"{os.environ['DB_PASSWORD']}\""
        ),
    ],
)
def test_database_is_found_however_the_settings_say_it(text: str) -> None:
    url = f"postgres://shop:{PASSWORD}@127.0.0.1:5433/shop?sslmode=require"
    values = read({"DB_PASSWORD": PASSWORD, "DATABASE_URL": url}, settings=text, base=_DATABASE % '"wrong"')
    login = facts_of(values).login
    assert login is not None
    assert (login.name, login.user, login.host, login.port) == ("shop", "shop", "127.0.0.1", "5433")
    assert login.password is not None
    assert login.password.reveal() == PASSWORD
    assert login.options == (("sslmode", "require"),)
    assert PASSWORD not in repr(facts_of(values))


def test_everything_else_is_found_with_defaults_and_paths() -> None:
    facts = facts_of(
        read(
            {"MAIL_PASSWORD": PASSWORD},
            settings="""
from pathlib import Path
BASE_DIR = Path(__file__).resolve().parent.parent
MEDIA_ROOT = BASE_DIR / "media"
TIME_ZONE: str = "Europe/Jersey"
EMAIL_HOST, EMAIL_USE_TLS = "smtp.shop.example", env.bool("MAIL_TLS", default=True)
EMAIL_PORT = int(os.environ.get("MAIL_PORT", "587"))
EMAIL_HOST_USER = "%s@%s" % ("shop", "shop.example")
EMAIL_HOST_PASSWORD = config("MAIL_PASSWORD")
DEFAULT_FROM_EMAIL = "Jersey Events <" + EMAIL_HOST_USER + ">"
ALLOWED_HOSTS = ["*", "127.0.0.1", ".shop.example"]
ALLOWED_HOSTS += ["tickets.shop.example"]
ADMINS = [("Ana", "ana@shop.example"), ("Bob", "bob@shop.example")]
SUMUP_API_KEY = "sup_sk_x"
if "test" in sys.argv:
    MEDIA_ROOT = "/tmp"
""",
        )
    )
    assert facts.settings == {
        ("tickets", "media_folder"): "/srv/shop/media", ("site", "time_zone"): "Europe/Jersey",
        ("mail", "host"): "smtp.shop.example", ("mail", "port"): 587, ("mail", "tls"): "starttls",
        ("mail", "username"): "shop@shop.example", ("mail", "sender"): "Jersey Events <shop@shop.example>",
    }  # fmt: skip
    assert facts.secrets["mail", "password"].reveal() == PASSWORD
    assert (facts.name, facts.address) == ("Jersey Events", "https://tickets.shop.example")
    assert (facts.support, facts.alerts) == ("shop@shop.example", ("ana@shop.example", "bob@shop.example"))
    assert facts.missing == ("the database (DATABASES): there is none",)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("DATABASES = {'default': secrets_of('shop')}", r"secrets_of\(\) is called"),
        (_DATABASE % "os.environ['DB_PASSWORD']", "environment variable DB_PASSWORD is not known"),
        (f"if os.path.exists('/x'):\n    {_DATABASE.strip() % '1'}", "hangs on what is not known"),
        ("DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'x'}}", "not PostgreSQL"),
        (f"for one in (1, 2):\n    {_DATABASE.strip() % '1'}", "in a loop"),
        ("DATABASES = {'default': env.db()}", "DATABASE_URL is not known"),
    ],
)
def test_what_the_text_does_not_tell_is_said_with_the_reason(text: str, why: str) -> None:
    facts = facts_of(read(settings=text))
    assert facts.login is None
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(facts.missing)


HOSTILE: dict[str, Callable[[], str]] = {
    "code": lambda: "__import__('os').system('touch /tmp/paypoll-was-here')\nraise SystemExit",
    "no Python": lambda: "DATABASES = {",
    "no text": lambda: "X = 1\0",
    "deep": lambda: "X = " + "(" * 5000 + ")" * 5000,
    "deep sums": lambda: "X = " + "1+" * 5000 + "1",
    "deep minus": lambda: "X = " + "-" * 50_000 + "1",
    "itself": lambda: "from .settings import *\nfrom shop.settings import X\nX = X",
    "each other": lambda: "from .other import *",
    "doubling text": lambda: "X = 'x'\n" + "X = X + X\n" * 60,
    "doubling list": lambda: "X = [1]\n" + "X.extend(X)\n" * 60,
    "doubling names": lambda: "X = [1]\n" + "X = [*X, *X]\n" * 60,
    "nested": lambda: "X = [1]\n" + "X = [X, X]\n" * 60 + "Y = f'{X}'\nZ = str(X)\nW = X == [X]\n",
    "wide": lambda: "X = '%999999999s' % 1\nY = f'{1:999999999}'\nZ = 9 ** 9 ** 9 ** 9\nW = 'x' * 9 ** 9\n",
    "wide joints": lambda: f"X = '{'x' * 9000}'\nY = f'{'{X}' * 5000}'\nZ = '{'%s' * 5000}' % [X{', X' * 4999}]",
    "numbers": lambda: "X = 9223372036854775807\n" + "X = X * X\n" * 60,
    "long digits": lambda: "X = int('9' * 10 + '9')\nY = int('" + "9" * 9000 + "')",
    "holds itself": lambda: "X = {}\nX['a'] = X\nX.update(X)\nY = str(X)\nDATABASES = X\nDATABASES['default'] = X",
    "odd types": lambda: (
        "DATABASES = 5\nMEDIA_ROOT = {}\nEMAIL_PORT = []\nADMINS = 3\nALLOWED_HOSTS = {1: 2}\nTIME_ZONE = b'x'"
    ),
    "odd parts": lambda: (
        "DATABASES = {'default': {'ENGINE': 1, 'NAME': [], 'PORT': {}, 'OPTIONS': 5}}\nADMINS = [[], 5, [1]]"
    ),
    "long way round": lambda: (
        f"MEDIA_ROOT = '/{'a' * 60}\\0'\nSITE_NAME = '{'x' + ' ' * 9000}y'\nADMINS = [('a', '{'<' * 9000}')]\n"
        f"DEFAULT_FROM_EMAIL = '{'a' * 4000 + ' ' * 4000}'\nSITE_URL = 'https://{'a.' * 4000}'\n"
    ),
    "steering": lambda: (
        "TIME_ZONE = 'a\\x1b[2J'\nMEDIA_ROOT = '/srv/\\nx'\nSITE_NAME = 'x\\r\\nBcc: y'\nEMAIL_HOST = 'a b\\0'"
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_text_is_read_in_no_time_and_comes_to_nothing(kind: str) -> None:
    began = time.process_time()
    try:
        facts = facts_of(read(settings=HOSTILE[kind](), other="from .settings import *"))
    except UnreadableSettingsError as error:
        assert "shop.settings" in str(error)  # noqa: PT017 - either outcome will do
    else:
        assert facts.login is None
        told = [str(value) for value in (*facts.settings.values(), facts.name, facts.address, *facts.missing)]
        assert all(text.isprintable() and len(text) <= 500 for text in told)
    assert time.process_time() - began < SECONDS
    assert not Path("/tmp/paypoll-was-here").exists()  # noqa: S108 - a name of the test's own


def test_printed_settings_are_read_as_django_prints_them() -> None:
    printed = (
        "DATABASES = {'default': {'ENGINE': 'django.db.backends.postgresql', 'NAME': 'shop', 'HOST': '', 'PORT': ''}}\n"
        "EMAIL_BACKEND = 'django.core.mail.backends.smtp.EmailBackend'  ###\n"
        "MEDIA_ROOT = PosixPath('/srv/shop/media')\nEMAIL_PORT = 25  ###\nLOGGER = <object at 0x7f>\n"
        "+ TIME_ZONE = 'UTC'\n"
    )
    facts = facts_of(values_of(printed))
    assert facts.login is not None
    assert (facts.login.name, facts.login.host) == ("shop", "")
    assert facts.settings["tickets", "media_folder"] == "/srv/shop/media"
    assert (facts.settings["mail", "host"], facts.settings["mail", "tls"]) == ("localhost", "none")
    assert isinstance(values_of("X = f()\n")["X"], Unknown)


@pytest.mark.parametrize(
    "url", ["mysql://a/b", "postgresql://h:x/b", "postgresql://host", "postgresql://h/b\n", "/srv"]
)
def test_address_of_no_postgresql_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ValueError, match="it looks like postgresql://") as refused:
        login_of_url(url)
    assert url not in str(refused.value)


def test_environment_file_is_read_with_quotes_comments_and_exports() -> None:
    text = "# no\nA=1 # said\nexport B = 'two words'\nC=\"#3\"\nnot a line\nD=\nA_B-C=4\n"
    assert variables_of(text) == {"A": "1", "B": "two words", "C": "#3", "D": ""}
    began = time.process_time()
    assert len(variables_of(f"A=x{' ' * 250_000}y")["A"]) == 250_002
    assert time.process_time() - began < SECONDS


def test_shop_folder_is_read_without_leaving_it_and_its_unit_tells_the_environment(tmp_path: Path) -> None:
    folder, units, outside = tmp_path / "srv", tmp_path / "units", tmp_path / "outside"
    project = folder / "site"
    for place in (project / "shop", units, outside):
        place.mkdir(parents=True)
    (project / "manage.py").write_text("os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.development')")
    (project / "shop/wsgi.py").write_text('os.environ["DJANGO_SETTINGS_MODULE"] = "shop.production"')
    (project / "shop/production.py").write_text("from .base import *\nfrom .secrets import *\nX = env('FROM_UNIT')")
    (project / "shop/base.py").write_text("TIME_ZONE = env('TZ_NAME')")
    (outside / "secrets.py").write_text("STOLEN = 'root has read this'")
    (project / "shop/secrets.py").symlink_to(outside / "secrets.py")
    (folder / ".env").symlink_to(outside / "secrets.py")
    (outside / "environment").write_text("FROM_UNIT=yes\n")
    (units / "web.service").write_text(
        f'[Service]\nWorkingDirectory={project}\nEnvironment="TZ_NAME=Europe/Jersey" OTHER=1\n'
        f"EnvironmentFile=-{outside}/environment\n"
    )
    (units / "other.service").write_text(f"[Service]\nWorkingDirectory={folder}-two\nEnvironment=TZ_NAME=wrong\n")
    shop = ShopFolder(folder, units=units)
    assert shop.settings_module() == "shop.production"
    values = read_django_settings("shop.production", shop.read, shop.environ)
    assert (values["TIME_ZONE"], values["X"]) == ("Europe/Jersey", "yes")
    assert "STOLEN" not in values
    assert "STOLEN" not in shop.environ
    with pytest.raises(NoShopError, match=r"no manage\.py"):
        ShopFolder(outside)
    with pytest.raises(NoShopError, match="no such file"):
        ShopFolder(tmp_path / "nowhere")


def test_shops_own_program_is_run_by_its_owner_and_a_failing_one_says_nothing() -> None:
    owner = 65534 if os.geteuid() == 0 else os.geteuid()
    environ = {"PATH": os.defpath, "A": "1"}
    said = shop_folder._printed(["/bin/sh", "-c", "id -u; env; id -G"], Path("/"), environ, owner)
    user, *rest = said.split()
    assert int(user) == owner
    assert "A=1" in rest
    assert not {"0"} & set(rest) or os.geteuid() != 0
    assert shop_folder._printed(["/bin/sh", "-c", "echo some; exit 3"], Path("/"), environ, owner) == ""
    assert shop_folder._printed(["/no/such/python"], Path("/"), environ, owner) == ""
