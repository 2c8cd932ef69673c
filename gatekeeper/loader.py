"""Reading what is configured: the file, texts in its place, the token file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gatekeeper.config import load_file, load_text
from gatekeeper.config.flag_values import flag_changes, flag_schema
from gatekeeper.config.versions import load_version, version_schema
from gatekeeper.control.api.tokens import Tokens, TokensError
from gatekeeper.core.flags.model import FlagChanges
from gatekeeper.core.model import Definition, Version


def load_tokens(definition: Definition) -> Tokens:
    """Who may come over TCP. Raises TokensError with everything that is wrong in the file that is named."""
    path = definition.settings.admin_tokens
    return Tokens.load(path) if path is not None else Tokens()


def token_problems(definition: Definition) -> list[dict[str, Any]]:
    """Everything that is wrong in the token file that is named, in the form of the API's problems."""
    path = definition.settings.admin_tokens
    return token_file_problems(path) if path is not None else []


def token_file_problems(path: str) -> list[dict[str, Any]]:
    """Everything that is wrong in a token file, in the form of the API's problems."""
    try:
        Tokens.load(path)
    except TokensError as error:
        return list(error.problems)
    return []


class FileLoader:
    """Reads the configuration; ``control.parts.Loader``."""

    def __init__(self, path: str) -> None:
        # A reload must find the file whatever the working directory is by then.
        self._path = Path(path).absolute()
        self._shown = path

    @property
    def directory(self) -> str:
        """That of the file: what it names without a whole path is found there."""
        return str(self._path.parent)

    def file(self) -> Definition:
        return load_file(self._path if Path(self._shown).is_absolute() else self._shown)

    def text(self, text: str, *, local: bool) -> Definition:
        return load_text(text, "body", self._path.parent, local=local)

    def version(self, service: str, name: str, document: Mapping[str, Any], like: Version) -> Version:
        return load_version(service, name, document, self._path.parent, like)

    def version_schema(self) -> dict[str, Any]:
        return version_schema()

    def flag(self, document: Mapping[str, Any]) -> FlagChanges:
        return flag_changes(document)

    def flag_schema(self) -> dict[str, Any]:
        return flag_schema()
