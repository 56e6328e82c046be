"""The examples of the documents run.

A block that opens with ```mlir file=NAME is written to NAME; the ```sh blocks
of the same document then run, in order, in that folder; then the ```python ones,
as one program, in which FIXTURES is the folder of the tests' models.
"""

import os
import re
import subprocess
import sys

import pytest

from tools import BIN, ROOT

DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.M | re.S)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_examples_run(document, tmp_path):
    environment = dict(os.environ, PATH=f"{BIN}:{os.environ['PATH']}",
                       PYTHONPATH=str(BIN.parent / "python"))
    program = [f"FIXTURES = {str(ROOT / 'test/data/hf')!r}\n"]
    for language, info, text in BLOCK.findall(document.read_text()):
        name = re.match(r"\s*file=(\S+)", info)
        if name:
            (tmp_path / name.group(1)).write_text(text)
        elif language == "python" and "norun" not in info:
            program.append(text)
        elif language == "sh" and "norun" not in info:
            result = subprocess.run(["bash", "-euo", "pipefail", "-c", text],
                                    cwd=tmp_path, env=environment,
                                    capture_output=True, text=True, timeout=120)
            assert result.returncode == 0, text + result.stderr
    if len(program) > 1:
        if os.environ.get("TPC_SANITIZE"):
            pytest.skip("Python does not load an extension with sanitizers")
        (tmp_path / "example.py").write_text("".join(program))
        result = subprocess.run([sys.executable, "example.py"], cwd=tmp_path,
                                env=environment, capture_output=True,
                                text=True, timeout=120)
        assert result.returncode == 0, result.stderr
