"""The operator's own templates, in the folders that the settings name."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, TemplateSyntaxError

if TYPE_CHECKING:
    # Printing processes load this module, and loading the settings would take a seventh of their start.
    from paypoll.settings.model import Settings


class TemplateLoader(FileSystemLoader):
    """Loads templates by name from folders, and says which one is not UTF-8."""

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        """Return source, file name and whether it is still the same. Raise TemplateSyntaxError when it is no text."""
        try:
            return super().get_source(environment, template)
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            raise TemplateSyntaxError("this is not UTF-8 text", line, template, f"the template {template}") from None


def missing_folders(settings: "Settings") -> list[str]:
    """Return a sentence for each folder that is not there: ours would be used in silence."""
    folders = {"mail": settings.mail.template_folder, "tickets": settings.tickets.template_folder}
    return [
        f"{section}.template_folder: there is no folder {folder}, so paypoll's own templates are used"
        for section, folder in folders.items()
        if folder is not None and not folder.is_dir()
    ]
