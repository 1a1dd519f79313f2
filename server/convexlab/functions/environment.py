"""The environment: what `os.environ` is while a function runs.

    run of an action      Python's own needs of the machine's, and the deployment's variables
    `auth_config`'s load  the same, at a push; whatever it reads is written down
    anything else         refused to users; libraries see Python's own needs
    no run                the machine's, as ever

An action changes its own copy, which ends with it. What else the machine's environment
holds (its owner's keys, for instance) no run sees; `replacements` is where they look.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from convexlab.errors import EnvVarUnreadable
from convexlab.functions.determinism import current
from convexlab.functions.refusals import ENVIRONMENT, refuse_to_users

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

# What Python and its libraries find the world by: programs, homes, languages,
# temporary files, certificates and proxies, devices.
_NEEDED: Final = frozenset({
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TEMP", "TMP", "TZ", "TZDIR",
    "LANG", "LANGUAGE", "VIRTUAL_ENV", "CONDA_PREFIX", "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY",
    "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
    "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS",
})  # fmt: skip
_NEEDED_PREFIXES: Final = ("LC_", "PYTHON", "XDG_")
# Where `env` is among the arguments of `subprocess.Popen`.
_ENV_POSITION: Final = 10


# Those of the machine's, and what libraries have set since.
_needed: Final[dict[bytes, bytes]] = {}


class Variables(dict[bytes, bytes]):
    """One run's environment, as `os.environ` keeps it: encoded names and values.

    Args:
        values: the deployment's variables; None for a value that cannot be opened.

    Attributes:
        looked_up: the names that were asked for.
        missed: those of them that are not set.
    """

    def __init__(self, values: Mapping[str, str | None]) -> None:
        super().__init__(_needed)
        for name, value in values.items():
            if value is not None:
                self[os.fsencode(name)] = os.fsencode(value)
        self._unreadable = {name for name, value in values.items() if value is None}
        self.looked_up: set[str] = set()
        self.missed: set[str] = set()

    def __getitem__(self, key: bytes) -> bytes:
        self.looked_up.add(os.fsdecode(key))
        return super().__getitem__(key)

    def __missing__(self, key: bytes) -> bytes:
        name = os.fsdecode(key)
        if name in self._unreadable:
            raise unreadable([name])
        self.missed.add(name)
        raise KeyError(name)


class _Environment(type(os.environ)):  # type: ignore[misc]  # the class has no public name
    """`os.environ`, whose content is another one in each run."""

    @property
    def _data(self) -> dict[bytes, bytes]:
        run = current()
        if run is None:
            return _machine()
        if run.environment is not None:
            return run.environment
        refuse_to_users(ENVIRONMENT, "os.environ")
        return _needed

    def __setitem__(self, name: str, value: str) -> None:
        seen, key, text = self._data, self.encodekey(name), self.encodevalue(value)
        if not isinstance(seen, Variables):
            os.putenv(key, text)
            _machine()[key] = text
        seen[key] = text

    def __delitem__(self, name: str) -> None:
        seen, key = self._data, self.encodekey(name)
        if key not in seen:
            raise KeyError(name)
        del seen[key]
        if not isinstance(seen, Variables):
            os.unsetenv(key)
            _machine().pop(key, None)


def _machine() -> dict[bytes, bytes]:
    """The machine's environment, as Python read it when it began."""
    found: dict[bytes, bytes] = vars(os.environ)["_data"]
    return found


# -- in a process that runs functions -------------------------------------------------


def install() -> None:
    """Change `os.environ` in place, once a process."""
    _needed.update({k: v for k, v in _machine().items() if _is_needed(k)})
    os.environ.__class__ = _Environment
    if hasattr(os, "environb"):
        os.environb.__class__ = _Environment


def hide_from_children() -> None:
    """What actions start inherits what Python needs of the machine's, and no more."""
    for key in _machine():
        if not _is_needed(key):
            os.unsetenv(key)


def handed_on(original: Callable[..., None]) -> Callable[..., None]:
    """`subprocess.Popen.__init__` that hands a run's environment on, as Python's does."""

    def start(self: Any, *args: Any, **options: Any) -> None:
        run = current()
        is_said = len(args) > _ENV_POSITION or options.get("env") is not None
        if run is not None and run.environment is not None and not is_said:
            options["env"] = os.environ.copy()
        original(self, *args, **options)

    return start


def _is_needed(key: bytes) -> bool:
    name = os.fsdecode(key)
    return name in _NEEDED or name.startswith(_NEEDED_PREFIXES)


# -- words ----------------------------------------------------------------------------


def unreadable(names: Sequence[str]) -> EnvVarUnreadable:
    """What to say of values that cannot be opened."""
    return EnvVarUnreadable(
        f"The environment variable {_listed(names)} was sealed with another secret than "
        "this machine has now (CONVEXLAB_SECRET, or convexlab/secret in the folder of "
        "configurations). Bring that secret back, or set the variable again: "
        f"`convexlab env set {names[0]}`."
    )


def not_set(names: Sequence[str]) -> str:
    """What to say to whoever pushes what needs variables that there are not."""
    return (
        f"the environment variable {_listed(names)} is not set: `convexlab env set "
        f"{names[0]}`, then push again."
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
