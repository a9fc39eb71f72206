"""The card of the bundled model: Markdown out of what `bundled_model.py` has measured."""

from typing import Any

AIM = 2.3
"""Bits per byte that the model was to beat on held-out documents."""

GROUPS = ("all", "others", "largest")


def card(facts: dict[str, Any]) -> str:
    """The whole card."""
    said, length = facts["provenance"], facts["config"]["length"]
    status = "\n**Measured on a little of the text only.**\n" if facts["is_quick"] else ""
    texts = "\n\n".join(f"{steps} steps:\n\n{_fenced(text)}" for steps, text in facts["texts"].items())
    return f"""# The bundled model

A masked diffusion model of Python source, byte by byte, for trying samplers and schedules on a real
network, offline. `mdmot sample`, `profile`, `tune`, `evaluate` and `report` use it when no model is named.
{status}
{_description(facts)}

## How to remake it

```bash
mdmot train --preset bundled --store bfloat16 --out bundled
cp bundled/model.json bundled/weights.safetensors mdmot/models/bundled
mdmot profile mdmot/models/bundled --out mdmot/models/bundled/profile.json
python benchmarks/bundled_model.py --model mdmot/models/bundled --card mdmot/models/bundled/CARD.md \\
    --trained-on "hardware and time, by hand"
```

The first command takes the sources of the Python that runs it: on another version of Python the model
is another one. It can be killed at any moment and goes on with `--resume`.
{_stages(said)}
## Held-out bits per byte

{facts_table(facts)}

{_reading(facts)}

## Samples

{facts["num_samples"]} samples of {length} bytes each, positions in random order, a fixed number a step.
The optimal plan is made from the model's information profile ({facts["profile"]["origin"]}), which says
that in the limit of many steps {_ratio(facts["profile"])} linear steps do what one of the best plan does.
On sequences that it was not fitted to, the optimal plan gains over linear steps, in nats (95 %):
{_gains(facts["profile"]["gains"])}.

{samples_table(facts)}

Loss is the predicted path KL in nats a sample. The judge is the {facts["judge_order"]}-gram model of the
training text: bits per byte of the samples under it, the logarithm of its perplexity. Text that repeats
itself pleases the judge too: read it beside the entropy of the bytes within a sample, in nats, and the
share of different 4-grams. A window cut out of a program seldom parses: compare with held-out text.

The first sample of each optimal plan, as it came, control characters escaped:

{texts}

## Known limits

- It has seen one library in one style, and knows no language but Python and the English of its
  documentation.
- It sees {length} bytes at a time. Names, arguments and indentation agree over a few lines at best.
  Programs that it writes are wrong: do not run them unread.
- It may repeat passages of the standard library, whose licence is {said["data"]["train"]["licence"]}.
- The held-out documents are of the same library, and {facts["largest_document"]}, which is generated
  documentation, makes up {facts["largest_share"]:.0%} of them: read the column without it.
- The standard errors take windows for independent; documents differ by more.
"""


def facts_table(facts: dict[str, Any]) -> str:
    """Held-out bits per byte beside the baselines."""
    parts = {name: facts["held_out"][name] for name in GROUPS}
    names = ("all", f"without {facts['largest_document']}", facts["largest_document"])
    rows = [
        ["this model, at most", *(_plus_minus(part["bits"], 3) for part in parts.values())],
        *(
            [f"{order}-grams", *(f"{part['ngrams'][order - 1]:.3f}" for part in parts.values())]
            for order in range(1, len(parts["all"]["ngrams"]) + 1)
        ),
        ["xz -9e, alone", *(_number(part, "xz") for part in parts.values())],
        [
            "xz -9e, after the training text",
            *(_number(part, "xz_after_training") for part in parts.values()),
        ],
        ["windows", *(f"{part['windows']:,}" for part in parts.values())],
    ]
    return _table(["held-out documents", *names], rows)


def samples_table(facts: dict[str, Any]) -> str:
    """What samples are worth, beside held-out text."""
    headings = ["steps", "schedule", "loss", "judge", "entropy", "different 4-grams", "parse (95 %)"]
    rows = [
        [str(row["steps"]), row["schedule"], f"{row['path_kl']:.1f}", *_worth(row)]
        for row in facts["samples"]
    ]
    return _table(headings, [*rows, ["", "held-out text", "", *_worth(facts["text"])]])


def _description(facts: dict[str, Any]) -> str:
    said, config = facts["provenance"], facts["provenance"]["config"]
    size, data = facts["config"], said["data"]
    rows = [
        [
            "network",
            f"bidirectional transformer, {size['depth']} blocks, width {size['width']}, "
            f"{size['heads']} heads, {facts['parameters']:,} weights",
        ],
        ["tokens", f"the 256 bytes; sequences of up to {size['length']}"],
        ["storage", f"{facts['storage']}, {facts['megabytes']:.1f} MB; computed in float32"],
        ["data", _data(data["train"]) + ", without its tests"],
        ["held out", _data(data["held_out"]) + ", by the digest of their names"],
        ["licence of the data", data["train"]["licence"]],
        [
            "training",
            f"{said['step']:,} of {config['num_steps']:,} updates of {config['batch_size']} windows, "
            f"{_passes(facts):.1f} passes over the data; AdamW, rate up to {config['learning_rate']:g}, "
            f"{config['num_warm_up']} updates of warm-up; running mean of the weights, decay "
            f"{config['average_decay']:g}",
        ],
        ["seed", f"{said['seed']}, of weights, order and masks"],
        ["hardware", facts["trained_on"] or said.get("device", "not recorded")],
        ["versions", ", ".join(f"{name} {number}" for name, number in said["versions"].items())],
    ]
    return _table(["", ""], rows)


def _stages(said: dict[str, Any]) -> str:
    """How the learning rates of the run differ from those of one that was never lengthened."""
    stages, begin, parts = said.get("stages", []), 0, []
    for stage in stages:
        parts.append(f"steps {begin + 1:,} to {stage['until']:,} have those of {stage['num_steps']:,}")
        begin = stage["until"]
    if not parts:
        return ""
    return f"""
The length of this run was changed as it went, with `--resume --steps N`. Of the learning rates,
{", ".join(parts)} planned steps,
the others those of {said["config"]["num_steps"]:,}. The first command makes a model without these turns.
"""


def _passes(facts: dict[str, Any]) -> float:
    """How often the training saw the data."""
    said = facts["provenance"]
    seen = said["step"] * said["config"]["batch_size"] * facts["config"]["length"]
    return seen / said["data"]["train"]["bytes"]


def _reading(facts: dict[str, Any]) -> str:
    """What the table says, in words."""
    found = facts["held_out"]["all"]
    bits, best = found["bits"]["value"], min(found["ngrams"])
    where = facts["measured_on"]
    relation = "more" if best > bits else "less"
    part = "a part of " if facts["is_quick"] else ""
    lines = [
        f"The aim of {AIM} bits per byte is {'met' if bits < AIM else 'missed'}. The best n-gram model of",
        f"{part}the same training text takes {best:.3f} bits, {relation} than the network.",
        f"The hardware above had time for {_passes(facts):.1f} passes over the data, each of which hides",
        "another part of every window.",
        "",
        "The network's number bounds its bits from above (NELBO, one mask pattern a window, standard error",
        "over windows). It is for windows that stand alone and may be filled in any order. N-grams and xz",
        "read from left to right, xz with all text before at hand: the library repeats itself over long",
        "distances, which xz finds and a window cannot show. xz is given the documents whole.",
    ]
    if not facts["is_same_text"]:
        lines += [
            "",
            f"Measured on the {where['data']}, another text than that of the training: some of it may not",
            "have been held out there.",
        ]
    return "\n".join(lines)


def _data(part: dict[str, Any]) -> str:
    digest = part["sha256"][:12]
    return f"{part['documents']} documents of the {part['name']}, {part['bytes']:,} bytes (sha256 {digest})"


def _ratio(profile: dict[str, Any]) -> str:
    low, high = profile["interval"]
    return f"{profile['step_ratio']:.2f} ({low:.2f} to {high:.2f})"


def _gains(gains: dict[str, dict[str, Any]]) -> str:
    said = []
    for steps, gain in gains.items():
        if gain["interval"] is None:
            said.append(f"in {steps} steps unknown")
        else:
            low, high = gain["interval"]
            verdict = gain["verdict"].partition(":")[0]
            said.append(f"in {steps} steps {gain['nats']:.2f} ({low:.2f} to {high:.2f}), {verdict}")
    return ";\n".join(said)


def _worth(row: dict[str, Any]) -> list[str]:
    parse = row["parse_rate"]
    return [
        _plus_minus(row["judge_bits"], 2),
        f"{row['entropy']['value']:.2f}",
        f"{row['distinct_4']['value']:.2f}",
        f"{parse['value']:.2f} ({parse['low']:.2f} to {parse['high']:.2f})",
    ]


def _plus_minus(estimate: dict[str, float], digits: int) -> str:
    return f"{estimate['value']:.{digits}f} ± {estimate['standard_error']:.{digits}f}"


def _number(part: dict[str, Any], name: str) -> str:
    return f"{part[name]:.3f}" if name in part else ""


def _table(headings: list[str], rows: list[list[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _fenced(text: str) -> str:
    fence = "~~~~"
    while fence in text:
        fence += "~"
    return f"{fence}text\n{text}\n{fence}"
