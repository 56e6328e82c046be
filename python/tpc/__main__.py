"""The command `tpc`: text from models in Hugging Face directories."""

from __future__ import annotations

import argparse
import sys
from typing import Sequence

import numpy as np

from tpc import __version__, _tpc
from tpc._model import Model, load
from tpc._text import embed_texts, generate_text, report_speed


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tpc", description="Runs models of Hugging Face directories on a "
        "mesh of devices.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True,
                                     metavar="COMMAND")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("directory", metavar="DIR",
                        help="config.json, safetensors and tokenizer.json")
    shared.add_argument("--tp", type=int, default=1,
                        help="devices that split the model (default: 1)")
    shared.add_argument("--mesh", help="mesh of devices, like dp=2,tp=4, in "
                        "place of --tp")
    shared.add_argument("--dtype", default="f32",
                        choices=["f32", "bf16", "f16", "stored"],
                        help="type that is computed in (default: f32)")
    shared.add_argument("--threads", type=int, default=0,
                        help="for all devices together (default: one per core)")
    shared.add_argument("--plan", action="store_true",
                        help="prints how the model is split")

    generate = commands.add_parser(
        "generate", parents=[shared], help="continues a prompt",
        description="Streams the continuation of a prompt, then prints the time "
        "to the first token and the tokens per second.")
    generate.add_argument("--prompt", required=True)
    generate.add_argument("--max-new-tokens", type=int, default=64)
    generate.add_argument("--temperature", type=float, default=0,
                          help="above 0: tokens by chance")
    generate.add_argument("--top-k", type=int, default=0)
    generate.add_argument("--top-p", type=float, default=1)
    generate.add_argument("--seed", type=int, default=0)

    embed = commands.add_parser(
        "embed", parents=[shared], help="turns texts into vectors",
        description="Prints how similar texts are to each other, or writes "
        "their vectors.")
    embed.add_argument("texts", nargs="+", metavar="TEXT")
    embed.add_argument("--output", metavar="FILE.npy",
                       help="the vectors, [texts, hidden]")
    return parser


def _open(arguments: argparse.Namespace) -> Model:
    return load(arguments.directory,
                mesh=arguments.mesh or {"tp": arguments.tp},
                dtype=arguments.dtype, threads=arguments.threads)


def _generate(arguments: argparse.Namespace) -> None:
    model = _open(arguments)
    made, first = generate_text(
        model, arguments.prompt, arguments.max_new_tokens,
        temperature=arguments.temperature, top_k=arguments.top_k,
        top_p=arguments.top_p, seed=arguments.seed)
    report_speed(made, first)
    if arguments.plan:
        print(model.plan, file=sys.stderr)


def _embed(arguments: argparse.Namespace) -> None:
    model = _open(arguments)
    vectors = embed_texts(model, arguments.texts)
    if arguments.output:
        np.save(arguments.output, vectors)
    else:
        similarity = vectors @ vectors.T
        for i, (row, text) in enumerate(zip(similarity, arguments.texts)):
            numbers = " ".join(f"{value:5.2f}" for value in row)
            print(f"{i:3} {numbers}  {text}")
    if arguments.plan:
        print(model.plan, file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    parsed = _parser().parse_args(arguments)
    try:
        {"generate": _generate, "embed": _embed}[parsed.command](parsed)
    except (_tpc.Error, OSError) as error:
        print(f"tpc: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
