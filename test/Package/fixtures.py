"""Hugging Face fixtures: the project's own, and those that TPC_HF_FIXTURES
names."""

import os
import pathlib

from safetensors.numpy import load_file

ROOT = pathlib.Path(__file__).resolve().parents[2]


def fixtures():
    """Folder by name."""
    folders = [ROOT / "test/data/hf"]
    if "TPC_HF_FIXTURES" in os.environ:
        folders.append(pathlib.Path(os.environ["TPC_HF_FIXTURES"]))
    return {path.parent.parent.name: path.parent.parent
            for folder in folders
            for path in sorted(folder.glob("*/model/config.json"))}


def expected(name):
    return load_file(fixtures()[name] / "expected.safetensors")


def model_of(name):
    return fixtures()[name] / "model"
