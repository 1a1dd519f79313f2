"""A project's folder with its deployment, and the commands in it."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from convexlab.cli.main import main
from convexlab_kernel import discovery


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    place = folder / ".convexlab" / "local"
    with pytest.MonkeyPatch.context() as patch:  # its secret is not the developer's
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        discovery.attach(place)
        yield folder
    discovery.stop(discovery.read_address(place))


@pytest.fixture
def convexlab(project, monkeypatch):
    """Run a command in the project; what it said."""
    monkeypatch.chdir(project)
    monkeypatch.delenv("CONVEXLAB_URL", raising=False)
    monkeypatch.delenv("CONVEXLAB_ADMIN_KEY", raising=False)

    def command(*arguments, status=0, typed=None):
        result = CliRunner().invoke(main, arguments, input=typed)
        assert result.exit_code == status, result.output
        return result.output.strip()

    return command
