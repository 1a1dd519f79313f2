"""The commands, on a real deployment."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys

from convexlab_kernel import discovery
from convexlab_kernel.client import Database

SOURCE = """from convexlab import mutation, query

@mutation
def create(ctx, text: str):
    return ctx.db.insert("tasks", {"text": text})

@query
def list_(ctx, limit: int = 10):
    return [t["text"] for t in ctx.db.query("tasks").take(limit)]
"""


def test_a_folder_is_pushed_and_its_functions_called(convexlab, project):
    functions = project / "convex"
    functions.mkdir(exist_ok=True)
    (functions / "tasks.py").write_text(SOURCE)
    (functions / "extra.py").write_text("x = 1\n")
    assert "pushed: extra, tasks" in convexlab("dev", "--once")
    convexlab("run", "tasks:create", '{"text": "hi"}')
    assert json.loads(convexlab("run", "tasks:list")) == ["hi"]
    (functions / "extra.py").unlink()
    assert "extra (removed)" in convexlab("dev", "--once")


def test_generated_types_are_kept_fresh(convexlab, project):
    functions = project / "typed"
    functions.mkdir()
    (functions / "tasks.py").write_text(SOURCE)
    assert "types: " not in convexlab("dev", "typed", "--once")
    convexlab("codegen", "typed")
    (functions / "tasks.py").write_text(SOURCE.replace("limit", "most"))
    said = convexlab("dev", "typed", "--once")
    assert said.count("types: ") == 1
    assert "most?: number" in (functions / "_generated" / "api.d.ts").read_text()


def test_a_bad_file_is_named_with_its_line(convexlab, project):
    bad = project / "bad"
    bad.mkdir()
    (bad / "tasks.py").write_text("x = 1\ny = 1/0\n")
    said = convexlab("deploy", "bad", status=1)
    assert said.startswith("tasks.py:2: ")
    assert "ZeroDivisionError" in said
    assert "convexlab_kernel" not in said


def test_a_folder_is_pushed_until_all_is_well(project):
    broken = project / "broken"
    broken.mkdir()
    (broken / "broken.py").write_text("1/0\n")
    command = [sys.executable, "-m", "convexlab", "dev", "broken", "--until-success"]
    with subprocess.Popen(
        command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            assert b"ZeroDivisionError" in process.stderr.readline()
            n = 0
            while process.poll() is None:  # its watch may begin after a change
                n += 1
                (broken / "broken.py").write_text(f"n = {n}\n")
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(5)
            said = process.stdout.read().decode()
        finally:
            process.kill()
    assert process.returncode == 0
    assert "pushed: broken" in said
    done = subprocess.run(command, cwd=project, capture_output=True, check=True)
    assert b"pushed: nothing new" in done.stdout
    assert b"watching" not in done.stdout


def test_deploy_takes_a_url_and_a_key(convexlab, project):
    address = discovery.read_address(project / ".convexlab" / "local")
    functions = project / "fresh"
    functions.mkdir()
    (functions / "only.py").write_text(SOURCE)
    options = ("--url", address.url, "--admin-key", address.admin_key)
    assert "checked: 2 functions" in convexlab("deploy", "fresh", "--dry-run", *options)
    assert "deployed: 2 functions" in convexlab("deploy", "fresh", *options)
    with Database(address) as db:
        assert [module.path for module in db.status().modules] == ["only"]
    wrong = convexlab(
        "deploy", "fresh", "--url", address.url, "--admin-key", "a|b", status=1
    )
    assert "Traceback" not in wrong


def test_import_needs_an_empty_table_or_a_word(convexlab, project):
    (project / "d.jsonl").write_text('{"a": 1}\n{"a": 2}\n')
    assert convexlab("import", "d.jsonl", "--table", "numbers").endswith("2 documents")
    convexlab("import", "d.jsonl", "--table", "numbers", status=1)
    convexlab("import", "d.jsonl", "--table", "numbers", "--append")
    convexlab("import", "d.jsonl", "--table", "numbers", "--replace", "-y")
    address = discovery.read_address(project / ".convexlab" / "local")
    with Database(address) as db:
        assert len(db.table("numbers")) == 2


def test_the_key_is_printed_for_the_owner(convexlab, project):
    address = discovery.read_address(project / ".convexlab" / "local")
    assert convexlab("admin-key") == address.admin_key
    assert "is not a deployment's folder yet" in convexlab(
        "admin-key", "--dir", "none", status=1
    )


def test_a_bad_call_is_a_sentence(convexlab):
    assert "one JSON object" in convexlab("run", "x:y", "{", status=1)
    assert "Could not find" in convexlab("run", "none:here", status=1)
    assert "Say --deployment or --url" in convexlab(
        "run", "x:y", "--url", "http://x", "--deployment", "d", status=2
    )


def test_a_served_deployment_answers_at_its_port_and_stops(tmp_path):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CONVEXLAB")}
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "convexlab",
            "serve",
            "--dir",
            "d",
            "--port",
            "0",
            "--site-port",
            "0",
        ],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        env=environment,
    )
    with process:
        line = process.stderr.readline().decode()
        assert " at http://127.0.0.1:" in line
        address = discovery.read_address(tmp_path / "d")
        assert discovery.answers(address)
        assert not address.secret
        process.terminate()
        assert process.wait(30) == 0
    assert not discovery.answers(address)
