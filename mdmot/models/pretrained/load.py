"""Pretrained networks from Hugging Face folders."""

import contextlib
import dataclasses
import os
import pathlib
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mdmot.denoisers import WithoutToken
from mdmot.errors import InputError, InputWarning
from mdmot.model import Model
from mdmot.models.config import DTYPES
from mdmot.models.pretrained import albert, bert, dream, esm, llada, llama, modernbert, qwen, roberta
from mdmot.models.pretrained.fill import Rule, fill
from mdmot.models.pretrained.settings import CONFIG_FILE, Settings, read_settings
from mdmot.models.pretrained.special_ids import find_mask, find_padding
from mdmot.models.pretrained.symbols import read_symbols
from mdmot.models.pretrained.tensors import Entry, list_tensors
from mdmot.models.pretrained.tied import with_own_head
from mdmot.models.pretrained.token_names import TokenNames, read_names

SPARE = (
    r"(.*\.)?position_ids",  # 0, 1, 2, ...
    r"(.*\.)?token_type_ids",  # 0, 0, 0, ...
    r".*\.rotary_emb(eddings)?\.inv_freq",  # what the config says
    r"(.*\.)?(pooler|contact_head)\..*",  # of other heads
)
"""Tensors of any family that are known and not needed, as regular expressions."""


def no_defaults(config: Any) -> dict[str, Callable[[], np.ndarray]]:
    """Weights that may be absent: none."""
    del config
    return {}


class Family(NamedTuple):
    """Networks that differ in their sizes alone.

    Attributes:
      read: The size that a config.json tells.
      shapes: The shape of each weight.
      rules: Where each tensor goes.
      build: The network without its weights.
      defaults: Weights that may be absent, with what makes them.
      ignored: Regular expressions of tensors that are known and not needed, beside those of all families.
    """

    read: Callable[[Settings], Any]
    shapes: Callable[[Any], dict[str, tuple[int, ...]]]
    rules: Callable[[Any], list[Rule]]
    build: Callable[[Any], Any]
    defaults: Callable[[Any], dict[str, Callable[[], np.ndarray]]] = no_defaults
    ignored: tuple[str, ...] = ()


ROBERTA = Family(roberta.read, roberta.shapes, roberta.rules, roberta.build)
FAMILIES = {
    "bert": Family(bert.read, bert.shapes, bert.rules, bert.build, ignored=bert.IGNORED),
    "roberta": ROBERTA,
    "xlm-roberta": ROBERTA,
    "camembert": ROBERTA,
    "albert": Family(albert.read, albert.shapes, albert.rules, albert.build, ignored=albert.IGNORED),
    "modernbert": Family(modernbert.read, modernbert.shapes, modernbert.rules, modernbert.build),
    "esm": Family(esm.read, esm.shapes, esm.rules, esm.build, esm.defaults, esm.IGNORED),
    "llada": Family(llada.read, llama.shapes, llada.rules, llama.build),
    "Dream": Family(dream.read, llama.shapes, qwen.rules, dream.build),
    "a2d-qwen2": Family(qwen.read_a2d_qwen2, llama.shapes, qwen.rules, llama.build),
    "a2d-qwen3": Family(qwen.read_a2d_qwen3, llama.shapes, qwen.rules, llama.build),
}
"""By `model_type`, which is found in any case of its letters: Dream is published in two."""


ROTARY = ("modernbert", "esm", "llada", "Dream", "a2d-qwen2", "a2d-qwen3")
"""Families whose positions are rotary, so that there are some for sequences of any length."""

ANY_LENGTH = 2**31 - 1


@dataclasses.dataclass(frozen=True)
class Pretrained:
    """A pretrained network, ready to be sampled.

    Attributes:
      model: The network, whose head is apart, its weights, those of the blocks stacked, and its mask, which
        is among its logits, and impossible.
      family: Its `model_type`, one of `FAMILIES`.
      config: Its size.
      vocab_size: Number of logits a position.
      pad_id: The token that nothing attends to, if there is one.
      length: Longest sequence that it was trained on.
      symbols: The text of each token, if the folder has a vocab.txt.
      unused: Tensors of the folder that the network does not need, of other heads.
      is_rotary: Whether it takes longer sequences too: its positions are rotary.
      names: What the files of its tokenizer call its tokens.
    """

    model: Model
    family: str
    config: Any
    vocab_size: int
    pad_id: int | None
    length: int
    symbols: tuple[str, ...] | None
    unused: tuple[str, ...]
    is_rotary: bool
    names: TokenNames


def load_pretrained(
    folder: str | os.PathLike[str],
    dtype: Any = jnp.float32,
    mask_id: int | None = None,
    never: Sequence[int] = (),
) -> Pretrained:
    """Reads a masked language model that was saved for Hugging Face's transformers.

    Reads the networks of `FAMILIES` from config.json and model.safetensors, or its shards: BERT, RoBERTa,
    ALBERT, ModernBERT, ESM-2 and DPLM, LLaDA, Dream and A2D.
    Every tensor has its place in the network and every weight its tensor, in its shape; settings that
    the network does not have are refused. Nothing of the folder is executed.

    Args:
      folder: The folder; nothing is fetched.
      dtype: Type of the weights and of what is computed with them, float32 or bfloat16. Logits are
        float32.
      mask_id: The token of a masked position, where the folder does not tell: neither in config.json
        nor as the mask_token of the tokenizer, nor as [MASK] or <mask> in vocab.txt or tokenizer.json.
      never: Tokens beside the mask that are never drawn, as the encoders' other special ones.

    Returns:
      The network and its weights.

    Raises:
      InputError: If the folder is of another family (the message lists those that are read), its config
        asks for what the network has not, files are missing or damaged, tensors are missing, stray
        or of a wrong shape, the type is another, or the mask is not known, no token of the network, or one
        thing in config.json and another in the tokenizer.

    Example:
      >>> import json, tempfile
      >>> import safetensors.numpy
      >>> config = {"model_type": "llada", "block_type": "llama", "activation_type": "silu",
      ...           "layer_norm_type": "rms", "include_bias": False, "rope": True, "vocab_size": 3,
      ...           "d_model": 4, "n_layers": 1, "n_heads": 2, "mask_token_id": 2}
      >>> sizes = {f"blocks.0.{name}_proj": (4, 4) for name in "qkv"} | {"blocks.0.attn_out": (4, 4)}
      >>> sizes |= {"blocks.0.ff_proj": (16, 4), "blocks.0.up_proj": (16, 4), "blocks.0.ff_out": (4, 16)}
      >>> sizes |= {"wte": (3, 4), "ln_f": (4,), "blocks.0.attn_norm": (4,), "blocks.0.ff_norm": (4,)}
      >>> tensors = {f"model.transformer.{name}.weight": np.ones(size, np.float32)
      ...            for name, size in sizes.items()}
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     _ = pathlib.Path(folder, "config.json").write_text(json.dumps(config))
      ...     safetensors.numpy.save_file(tensors, pathlib.Path(folder, "model.safetensors"))
      ...     found = load_pretrained(folder)
      >>> found.family, found.vocab_size, found.model.mask_id, found.length
      ('llada', 3, 2, 1024)
    """
    folder, dtype = pathlib.Path(folder), _known_dtype(dtype)
    name, family, config, tensors, ignored = open_folder(folder)
    filled = fill(
        f"weights of {folder}",
        tensors,
        family.rules(config),
        family.shapes(config),
        dtype,
        config.depth,
        family.defaults(config),
        ignored,
    )
    if filled.cut:
        tensor, rows = next(iter(filled.cut.items()))
        warnings.warn(
            f"{folder}: {tensor} has {rows} rows for the {config.vocab_size} tokens of {CONFIG_FILE}; "
            f"the last {rows - config.vocab_size} are not used",
            InputWarning,
            stacklevel=2,
        )
    if config.pad_id is not None and config.pad_id >= config.vocab_size:
        raise InputError(
            f"{folder / CONFIG_FILE}: pad_token_id is {config.pad_id}, and there are {config.vocab_size} "
            "tokens; correct it, or write null for what the tokenizer calls padding"
        )
    symbols = read_symbols(folder, config.vocab_size)
    try:
        names = read_names(folder, name, symbols)
    except InputError:
        if mask_id is None and config.mask_id is None:
            raise
        names = TokenNames()  # a network whose mask is known needs no tokenizer
    mask_id = find_mask(folder, config.mask_id, names) if mask_id is None else mask_id
    if not isinstance(config, llama.LlamaConfig):  # whose padding is a token like others
        pad_id = find_padding(folder, name, config.pad_id, names, config.vocab_size)
        config = dataclasses.replace(config, pad_id=pad_id)
    is_rotary = name in ROTARY
    denoiser: Any = family.build(dataclasses.replace(config, length=ANY_LENGTH) if is_rotary else config)
    for token in dict.fromkeys((*never, mask_id)):
        if not 0 <= token < config.vocab_size:
            raise InputError(f"{folder}: token {token} is none of the {config.vocab_size} of the network")
        denoiser = WithoutToken(denoiser, token)
    return Pretrained(
        Model(denoiser, jax.tree.map(jnp.asarray, filled.params), mask_id),
        name,
        config,
        config.vocab_size,
        config.pad_id,
        config.length,
        symbols,
        filled.unused,
        is_rotary,
        names,
    )


class Opened(NamedTuple):
    """A folder whose weights are not read yet.

    Attributes:
      name: Its family's, one of `FAMILIES`.
      family: Its family.
      config: The size of its network.
      tensors: All its tensors.
      ignored: Regular expressions of those that are known and not needed.
    """

    name: str
    family: Family
    config: Any
    tensors: dict[str, Entry]
    ignored: tuple[str, ...]


def open_folder(folder: pathlib.Path) -> Opened:
    """What network a folder has, and where its tensors are.

    Raises:
      InputError: As `load_pretrained`, but for the tensors themselves.
    """
    settings = read_settings(folder)
    name = _known_family(settings)
    family = FAMILIES[name]
    settings.only("quantization_config", None)
    config = family.read(settings)
    settings.finish()
    ignored = (*SPARE, *family.ignored)
    tensors = list_tensors(folder, ignored)
    return Opened(name, family, with_own_head(folder, config, tensors, family.rules), tensors, ignored)


def _known_family(settings: Settings) -> str:
    """The family of a folder."""
    name = settings.values.get("model_type")
    known = {family.casefold(): family for family in FAMILIES}
    if not isinstance(name, str) or name.casefold() not in known:
        raise InputError(f"{settings.path}: model_type {name!r}; mdmot reads {', '.join(FAMILIES)}")
    return known[name.casefold()]


def _known_dtype(dtype: Any) -> np.dtype:
    """The type of the weights."""
    with contextlib.suppress(TypeError):  # of what is no type at all
        found = np.dtype(dtype)
        if found in map(jnp.dtype, DTYPES):
            return found
    raise InputError(f"dtype = {dtype!r}; pass {' or '.join(DTYPES)}")
