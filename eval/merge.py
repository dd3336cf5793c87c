"""``train merge RUN --out DIR``: a LoRA run's adapter added to its base, so that the model is whole.

One of ``tune=qlora`` is merged into the base as its 4 bits stand for it (``eval.quantised``). The logits of base and
adapter are compared with those of the merged model before it is written. Cost: the base in fp32, twice, in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eval.models import ADAPTER, whole_model
from tokenizer.model_folder import copy_tokenizer
from workbench import manifest
from workbench.command import Parser
from workbench.console import emit_json, table
from workbench.errors import GateFailed, InputError
from workbench.files import atomic_path, read_json

MOST_DIFFERENCE = 1e-5  # of the logits, relative to the largest, between base + adapter and the merged model


def main(words: Sequence[str]) -> int:
    """Run ``train merge``; returns its exit code."""
    sub = Parser(
        "train merge", description="Add a LoRA run's adapter to its base; the logits are compared before it is written."
    )
    sub.add_argument("--json", action="store_true", help="print as JSON")
    sub.add_argument("run", type=Path, metavar="RUN", help="a finished run of tune=lora or qlora")
    sub.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder of the merged model")
    arguments = sub.parse_args(words)
    results = merge(arguments.run, arguments.out)
    emit_json(results) if arguments.json else table(("what", "value"), list(results.items()), title="Merged")
    return 0


def merge(run: Path, out: Path) -> dict[str, Any]:
    """Add a run's adapter to its base, and write the whole model.

    Args:
        run: A finished run of ``tune=lora``, or qlora: merged into the base as its 4 bits stand for it.
        out: The folder of the merged model.

    Returns:
        base, parameters, and the largest difference of logits, relative to the largest logit.

    Raises:
        InputError: If the run has no adapter, or its base is gone or quantised.
        GateFailed: If merged and unmerged logits differ.
    """
    made = manifest.read(run, "run", "train stage=pt tune=lora")
    adapter = run / ADAPTER
    if not (adapter / "adapter_config.json").is_file():
        raise InputError(run, "has no adapter", "only runs of tune=lora or qlora have; its model/ is already whole")
    config = read_json(adapter / "adapter_config.json")
    base = Path(str(config["base_model_name_or_path"]))
    inputs = [{"path": str(run), "fingerprint": made.fingerprint}]
    mark = manifest.fingerprint("model", {}, inputs)
    if manifest.claim(out, "model", mark) == "complete":
        return dict(manifest.read(out, "model", "train merge").results)
    import torch
    from peft import PeftModel

    from eval.device import tell_deepspeed
    from eval.models import load_model, load_reward_model

    whole_model(base)
    tell_deepspeed()
    reward, cut = config["task_type"] == "SEQ_CLS", made.config.get("tune") == "qlora"
    if cut:
        from eval.quantised import check_there, quantise, round_to_four_bits

        check_there()

    def opened() -> Any:
        model = (load_reward_model(base, "cpu", fresh=True) if reward else load_model(base, "cpu")).to(torch.float32)
        if reward:
            model.config.pad_token_id = made.results["pad_token_id"]
        return model

    def with_adapter(model: Any) -> Any:
        return PeftModel.from_pretrained(model, str(adapter)).eval()

    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, int(made.results["vocabulary"]), (2, 32), generator=generator)
    with torch.no_grad():
        model = opened()
        if cut:  # what was trained, and a plain model of the same values
            quantise(model, "fp32", "cpu")
            before = with_adapter(model)(input_ids=ids).logits
            round_to_four_bits(model := opened())
            merged = with_adapter(model).merge_and_unload()
        else:
            wrapped = with_adapter(model)
            before = wrapped(input_ids=ids).logits
            merged = wrapped.merge_and_unload()
        after = merged(input_ids=ids).logits
    difference = float((before - after).abs().max() / before.abs().max())
    if difference > MOST_DIFFERENCE:
        raise GateFailed(f"{run}: merged logits differ by {difference:.1e} of the largest, at most {MOST_DIFFERENCE}")
    with atomic_path(out / "model") as temporary:
        temporary.mkdir()
        merged.config.use_cache = True
        merged.save_pretrained(temporary)
        copy_tokenizer(adapter, temporary)
    results = {
        "base": str(base),
        "parameters": sum(p.numel() for p in merged.parameters()),
        "difference": difference,
        "model": str(out / "model"),
    }
    files = [manifest.describe_file(path, out) for path in sorted((out / "model").iterdir())]
    manifest.write(out, manifest.Manifest("model", mark, {}, inputs, files=files, results=results))
    return results
