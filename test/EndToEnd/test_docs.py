"""The examples of the documents run.

A block that opens with ```mlir file=NAME is written to NAME; the ```sh blocks
of the same document then run, in order, in that folder.
"""

import os
import re
import subprocess

import pytest

from tools import BIN, ROOT

DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.M | re.S)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_examples_run(document, tmp_path):
    environment = dict(os.environ, PATH=f"{BIN}:{os.environ['PATH']}")
    for language, info, text in BLOCK.findall(document.read_text()):
        name = re.match(r"\s*file=(\S+)", info)
        if name:
            (tmp_path / name.group(1)).write_text(text)
        elif language == "sh" and "norun" not in info:
            result = subprocess.run(["bash", "-euo", "pipefail", "-c", text],
                                    cwd=tmp_path, env=environment,
                                    capture_output=True, text=True, timeout=120)
            assert result.returncode == 0, text + result.stderr
