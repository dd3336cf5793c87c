"""``train data check``: shows what a stage would read of data; the survey is ``tokenizer.chat.survey``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from corpus.instructions.rows import Axis
from tokenizer.chat.pieces import Piece
from workbench.command import Parser
from workbench.console import emit_json, note, stdout_console, table

COLUMNS = ("id", "reason", "detail", "of")  # of what is removed
LISTED = 20  # removed rows; bad ones are listed all
SHOWN = 900  # characters of a sample that are printed; its middle is left out


def parser() -> Parser:
    """Return the parser of ``train data check``."""
    sub = Parser("train data check", description="What a stage would read of data: forms, counts, samples, faults.")
    sub.add_argument(
        "data", nargs="+", metavar="DATA", help="file, folder, glob or short name (belle-0.5m); @2 weighs it"
    )
    sub.add_argument("--stage", required=True, help="sft, rm, dpo, kto, ppo (rl, grpo, rloo)")
    sub.add_argument("--tokenizer", type=Path, metavar="DIR", help="counts tokens and uses its chat template")
    sub.add_argument(
        "--template", metavar="NAME", help="ziya, llama2, chatml, qwen, alpaca, vicuna; own: the tokenizer's"
    )
    sub.add_argument("--n", type=int, default=5, help="samples to show (default: 5)")
    sub.add_argument("--window", type=int, metavar="N", help="counts what is longer (default: 512 to 4,096)")
    sub.add_argument(
        "--axis", choices=get_args(Axis), help="what preferences were judged by, where the data do not say"
    )
    sub.add_argument("--hub", choices=("hf", "modelscope"), help="where names come from; also allows owner/name")
    sub.add_argument("--benchmarks", type=Path, metavar="DIR", help="looks for the benchmarks' items in the rows")
    sub.add_argument("--json", action="store_true", help="print as JSON")
    return sub


def main(words: Sequence[str]) -> int:
    """Run ``train data check``."""
    given = parser().parse_args(words)
    from tokenizer.chat.survey import survey

    found = survey(
        given.data,
        given.stage,
        tokenizer=given.tokenizer,
        template=given.template,
        samples=given.n,
        window=given.window,
        axis=given.axis,
        hub=given.hub,
        benchmarks=given.benchmarks,
    )
    emit_json(found) if given.json else show(found)
    return 0


def show(found: dict[str, Any]) -> None:
    """Print what a survey found."""
    names = ("data", "files", "forms", "records", "rows", "faulty", "weight", "rows_per_pass", "stated")
    heads = ("data", "files", "form", "records", "rows", "bad", "weight", "rows a pass", "stated")
    sets = [
        {**one, "data": Path(one["data"]).name, "forms": ", ".join(f"{n:,} {k}" for k, n in one["forms"].items())}
        for one in found["sets"]
    ]
    table(heads, [[one[name] for name in names] for one in sets], title=f"stage={found['stage']}")
    for one in found["sets"]:
        if one["stated_by"]:
            note(f"{one['data']}: {one['stated']:,} rows stated by {one['stated_by']}")
    for warning in found["warnings"]:
        note(f"warning: {warning}")
    if found["labels"]:
        table(("judged by", "rows"), list(found["labels"].items()))
    unit, many = found["unit"], found["sequences"]
    table(list(found["lengths"]), [list(found["lengths"].values())], title=f"{unit} a sequence ({many:,} of them)")
    over = [(f"over {int(window):,}", count, f"{count / many:.2%}") for window, count in found["longer"].items()]
    table((unit, "sequences", "share"), over)
    if found["fitted"]:
        said = ", ".join(f"{count:,} {what}" for what, count in found["fitted"].items())
        print(f"in the window: {said} (the oldest exchanges go first; an answer is never cut)\n")
    _show_samples(found)
    removed = found["removed"]
    counts = Counter(one["reason"] for one in removed)
    said = f"duplicate {counts['duplicate']:,}; contaminated {counts['contaminated']:,} ({found['contamination']})"
    if removed:
        table(("row", "why", "detail", "of"), [[one[key] for key in COLUMNS] for one in removed[:LISTED]], title=said)
        if len(removed) > LISTED:
            print(f"… and {len(removed) - LISTED:,} more (--json lists all)\n")
    else:
        print(f"{said}\n")
    faulty = found["faulty"]
    if faulty:
        table(("cause", "rows"), Counter(one["cause"] for one in faulty).most_common(), title="bad rows by cause")
        table(("place", "cause"), [(one["place"], one["cause"]) for one in faulty], title=f"bad rows: {len(faulty):,}")


def _show_samples(found: dict[str, Any]) -> None:
    from rich.text import Text

    console = stdout_console()
    console.print(Text(f"samples, template {found['template']}; ⟦ ⟧ and green: what bears loss"))
    for sample in found["samples"]:
        console.print(Text(f"\n── {sample['id']} {sample['view']}".rstrip(), style="bold"))
        text = Text()
        for piece in _cut(sample["pieces"]):
            text.append(f"⟦{piece.text}⟧" if piece.bears_loss else piece.text, "green" if piece.bears_loss else "dim")
        console.print(text, soft_wrap=True)
    console.print()


def _cut(pieces: Sequence[Piece]) -> list[Piece]:
    """Return pieces with the middle of each left out, so that a sample fits on a screen."""
    room = max(120, SHOWN // max(1, len(pieces)))
    return [
        Piece(
            one.text
            if len(one.text) <= room
            else f"{one.text[: room - 40]} …{len(one.text) - room:,} more… {one.text[-40:]}",
            one.bears_loss,
        )
        for one in pieces
    ]
