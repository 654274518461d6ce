"""The settings: read with `load_settings`, shown with `masked`. `config.example.toml` explains every key."""

from paypoll.settings.load import find_settings_file, load_settings
from paypoll.settings.model import (
    AlertSettings,
    DatabaseSettings,
    LoggingSettings,
    MailSettings,
    MetricsSettings,
    Section,
    Settings,
    SiteSettings,
    SumUpSettings,
    TicketSettings,
    VerificationSettings,
)
from paypoll.settings.secret import Secret
from paypoll.settings.show import masked

__all__ = [
    "AlertSettings",
    "DatabaseSettings",
    "LoggingSettings",
    "MailSettings",
    "MetricsSettings",
    "Secret",
    "Section",
    "Settings",
    "SiteSettings",
    "SumUpSettings",
    "TicketSettings",
    "VerificationSettings",
    "find_settings_file",
    "load_settings",
    "masked",
]
