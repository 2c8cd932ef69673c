"""Certificates made by openssl, as anybody would make them."""

import subprocess
from pathlib import Path
from typing import NamedTuple

EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class Files(NamedTuple):
    cert: Path
    key: Path

    def __str__(self) -> str:
        return f"{{cert: {self.cert}, key: {self.key}}}"

    def texts(self) -> tuple[str, str]:
        return self.cert.read_text(), self.key.read_text()


def openssl(*arguments: object, given: str = "") -> str:
    done = subprocess.run(
        ["openssl", *map(str, arguments)], input=given, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class Authority:
    """An authority with its ``cert``, and what it issues, all in ``folder``."""

    def __init__(self, folder: Path, name: str = "Test Authority") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.cert, self._key = folder / "authority.pem", folder / "authority.key"
        openssl(
            "req", "-x509", *EC, "-keyout", self._key, "-out", self.cert, "-days", 30, "-subj", f"/CN={name}",
        )  # fmt: skip

    def issue(self, stem: str, *names: str, days: int = 30, usage: str = "serverAuth") -> Files:
        """Files ``stem.pem`` and ``stem.key`` for DNS names (or ``IP:1.2.3.4``); ``days`` -1 has expired."""
        made = Files(self.folder / f"{stem}.pem", self.folder / f"{stem}.key")
        request, extensions = self.folder / f"{stem}.csr", self.folder / f"{stem}.ext"
        openssl("req", "-new", *EC, "-keyout", made.key, "-out", request, "-subj", f"/CN={stem}")
        lines = [f"extendedKeyUsage={usage}"]
        if names:
            lines.append("subjectAltName=" + ",".join(name if ":" in name else f"DNS:{name}" for name in names))
        extensions.write_text("\n".join(lines))
        openssl(
            "x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self._key, "-CAcreateserial",
            "-days", days, "-extfile", extensions, "-out", made.cert,
        )  # fmt: skip
        return made
