"""Prints the settings that the operator of `run-in-nspawn` types into the editor."""

from pathlib import Path

from tests.settings_text import world_settings

print(  # noqa: T201 - its output is the file
    world_settings(
        "postgresql:///shop",
        sumup_url="http://127.0.0.1:8480",
        smtp_port=8425,
        media=Path("/srv/shop/media"),
        sumup={"api_key": None, "api_key_credential": "sumup_api_key", "merchant_code": "MSANDBOX"},
        logging={"file": "/var/log/paypoll/paypoll.log"},
    ),
    end="",
)
