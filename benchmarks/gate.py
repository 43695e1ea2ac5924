"""Does the gate say no to the right models? `python -m benchmarks.gate [--quick] [--out RUNS]`.

Three experts are made by `recipes/demo.yaml`, with fewer contracts and steps, each by a whole run with the same limits:

- sound: as the recipe says;
- damaged: the sound adapter with noise added, six times as strong as its own weights; it goes on from there for one
  step at next to no learning rate, so that the run is a run like any other. It is served with fp32 arithmetic: noise
  like this makes every rounding so loud that parity refuses it before anything is measured;
- forgot: trained at ten times the learning rate, for half the steps.

The limits are on being better than echo, and on forgetting. The sound one should pass and the others fail, each for
its own reason. About half an hour. Progress goes to stderr; the last line of stdout is one JSON object.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks._command import command, say, stages
from lextune.core.artifacts import MANIFEST
from lextune.core.errors import GateRefused
from lextune.expert.weights import ADAPTER_WEIGHTS
from lextune.pipeline import read_recipe, run

RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "demo.yaml"
SETTINGS = (
    "split.validation=12",
    "split.test=12",
    "train.steps=48",
    "evaluate.base_documents=1",
    "evaluate.forgetting=true",
    "gate.better_than=[echo]",
    "gate.forgetting_at_most=0.05",
    "gate.perplexity_at_most=1.5",
)
NO_STEP = ("train.steps=1", "train.evaluations=1", "train.lr=1e-12", "train.head_lr=1e-12")
EXACTLY = ("release.engine=openvino-f32",)
FORGETFUL = ("train.lr=1e-2", "train.steps=24")
QUICK = ("split.train=24", "split.validation=4", "split.test=4", "train.steps=4", "train.evaluations=1")
NOISE = 6.0  # of the weights' own root mean square


def noisy(adapter: Path, out: Path, seed: int = 0) -> Path:
    """Copy an adapter with noise in every tensor."""
    import torch
    from safetensors.torch import load_file, save_file

    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(adapter, out, ignore=shutil.ignore_patterns(MANIFEST))
    weights = load_file(out / ADAPTER_WEIGHTS)
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in weights.items():
        noise = torch.randn(tensor.shape, generator=generator).to(tensor.dtype)
        weights[name] = tensor + NOISE * tensor.square().mean().sqrt() * noise
    save_file(weights, out / ADAPTER_WEIGHTS, metadata={"format": "pt"})
    return out


def gated(name: str, sets: Sequence[str], out: Path) -> dict[str, Any]:
    """Run the recipe to its end under one name; return its verdict, and the adapter."""
    say(f"== {name}")
    recipe = read_recipe(RECIPE, (f"name=gate-{name}", *SETTINGS, *sets))
    made = stages(recipe, out, "report")
    verdict = made["gate"].json("verdict.json")
    try:
        run(recipe, out=out / recipe.name, note=say)
        released = True
    except GateRefused as refused:
        say(str(refused))
        released = False
    return {**verdict, "released": released, "adapter": str(made["sft"].path)}


def main() -> None:
    """Run the benchmark."""
    given = command(__doc__, "four steps of training: shows the way, not the verdicts").parse_args()
    quick = QUICK if given.quick else ()
    found = {"sound": gated("sound", quick, given.out)}
    broken = noisy(Path(found["sound"]["adapter"]), given.out / "gate-noisy-adapter")
    found["damaged"] = gated("damaged", (*quick, f"train.init_adapter={broken}", *NO_STEP, *EXACTLY), given.out)
    found["forgot"] = gated("forgot", (*quick, *FORGETFUL), given.out)
    for name, each in found.items():
        print(f"{name}: {each['verdict']}{', released' if each['released'] else ''}")
        for one in each["checks"]:
            print(f"  {'ok' if one['ok'] else 'NO'}  {one['what']}")
    shown = {name: {key: each[key] for key in ("verdict", "reasons", "released")} for name, each in found.items()}
    print(json.dumps({"benchmark": "gate", "quick": given.quick, **shown}))


if __name__ == "__main__":
    main()
