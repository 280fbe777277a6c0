"""Secrets at rest: MultiFernet, the newest key first, the owner's name inside."""

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from core.errors import BooksUnusable, SettingsInvalid


class Seal:
    """Encrypts JSON for one owner.

    Fernet has no associated data, so the owner stands in the plaintext and is checked:
    somebody who can write to the database can't hand one app's tokens to another.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError as error:
            reason = "not a Fernet key (32 bytes, URL-safe base64)"
            raise SettingsInvalid("token_keys", reason) from error

    def close(self, owner: str, content: Mapping[str, Any]) -> bytes:
        text = json.dumps({"owner": owner, "content": dict(content)})
        return self._fernet.encrypt(text.encode())

    def open(self, owner: str, ciphertext: bytes) -> dict[str, Any]:
        """What was sealed for this owner.

        Raises:
            BooksUnusable: no key opens it, or it was sealed for somebody else.
        """
        try:
            sealed = json.loads(self._fernet.decrypt(ciphertext))
        except InvalidToken as error:
            raise BooksUnusable(
                "no key in token_keys opens the stored tokens"
            ) from error
        if sealed["owner"] != owner:
            raise BooksUnusable("the stored tokens belong to another app")
        content: dict[str, Any] = sealed["content"]
        return content


def own_key(folder: Path) -> str:
    """The key where none was configured: made once, kept beside the books.

    Whoever has the whole folder has the tokens; ``token_keys`` keeps them apart.
    """
    path = folder / "token.key"
    if not path.exists():
        _put_whole(path, Fernet.generate_key())
    return path.read_text().strip()


def _put_whole(path: Path, content: bytes) -> None:
    """Make the file with all of its content, unless another process has just done so.

    Roles that start together would else find a file that is still empty.
    """
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        Path(draft).unlink()
