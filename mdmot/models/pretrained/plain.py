"""Pretrained networks on plain sequences: what frames them, and their own mask, is out of sight."""

import dataclasses
import json
import os
import pathlib
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int

from mdmot._types import Tokens
from mdmot.denoisers import LogitsAt, Wrapped
from mdmot.denoisers.reading import Positions
from mdmot.errors import InputError
from mdmot.model import Model
from mdmot.models.named import WITHOUT_TEXT, Named
from mdmot.models.pretrained.byte_level import MERGES_FILE, WORDS_FILE
from mdmot.models.pretrained.conversation import begins, ends, read_about, read_chat
from mdmot.models.pretrained.load import Pretrained, load_pretrained
from mdmot.models.pretrained.special_ids import is_unasked
from mdmot.models.pretrained.symbols import (
    TOKENIZER_FILE,
    VOCABULARY_FILE,
    assert_each_once,
    tokenizer_object,
)
from mdmot.models.pretrained.token_names import SPECIAL
from mdmot.vocabulary import AMINO_ACIDS, RARE, Residues, Symbols, Tokenizer, read_tokenizer

FRAMES = dict.fromkeys(("albert", "bert", "modernbert"), ("[CLS]", "[SEP]"))
FRAMES |= {"esm": ("<cls>", "<eos>")} | dict.fromkeys(
    ("roberta", "xlm-roberta", "camembert"), ("<s>", "</s>")
)
"""What encoders have seen around every sequence."""

BY_LETTER = ("esm",)
"""Families whose sequences are written without blanks."""


@dataclasses.dataclass(frozen=True)
class PlainDenoiser(Wrapped):
    """A pretrained network on plain sequences, whose mask is the token after all clean ones.

    Attributes:
      denoiser: The network.
      size: Number of clean tokens, the first of the network's; the token `size` is the mask.
      mask_id: What the network is shown in its place.
      before: Tokens that the network is shown before every sequence.
      after: Tokens that it is shown behind it.
      never: Clean tokens that are not drawn.

    Example:
      >>> import jax
      >>> def network(params, tokens):
      ...     return jax.nn.one_hot(tokens, 5)
      >>> plain = PlainDenoiser(network, size=3, mask_id=4, before=(0,), after=(0,), never=(0,))
      >>> plain(None, jnp.asarray([[2, 3]], jnp.int32))[0].tolist()
      [[-inf, 0.0, 1.0], [-inf, 0.0, 0.0]]
    """

    size: int
    mask_id: int
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    never: tuple[int, ...] = ()

    def shown(self, tokens: Tokens) -> Int[Array, "batch framed"]:
        """The sequences in their frame, with the network's own mask."""
        shown = jnp.where(tokens == self.size, jnp.asarray(self.mask_id, tokens.dtype), tokens)
        ends = (jnp.asarray(end, tokens.dtype)[None] for end in (self.before, self.after))
        before, after = (jnp.broadcast_to(end, (tokens.shape[0], end.shape[1])) for end in ends)
        return jnp.concatenate([before, shown, after], axis=1)

    def becomes(self, logits_at: LogitsAt) -> LogitsAt:
        """The logits of what may be drawn, without the frame."""
        first, last = len(self.before), len(self.after)

        def inside(positions: Positions | None) -> Array:
            if positions is not None:
                return self._drawable(logits_at(positions + first))
            logits = logits_at(None)
            return self._drawable(logits[:, first : logits.shape[1] - last])

        return inside

    def _drawable(
        self, logits: Float[Array, "batch positions vocab"]
    ) -> Float[Array, "batch positions size"]:
        is_never = np.isin(np.arange(self.size), self.never)
        return jnp.where(is_never[None, None], -jnp.inf, logits[..., : self.size])


def load_plain(folder: str | os.PathLike[str], dtype: Any = jnp.float32) -> Named:
    r"""Reads a Hugging Face folder as a model of texts.

    BERT and ESM are shown [CLS] or <cls> before every sequence and [SEP] or <eos> behind it, as in their
    training, and draw no special token, nor in proteins the letters B, O, U, X, Z, . and -. LLaDA and
    Dream, which end their texts with special tokens, draw whatever their vocabulary has but the mask, and
    are shown what their tokenizer puts before a text.

    Args:
      folder: What `load_pretrained` reads, with a tokenizer.json, a vocab.json with its merges.txt, or
        else a vocab.txt.
      dtype: Type of the weights and of what is computed with them, float32 or bfloat16.

    Returns:
      The network on plain sequences, whose mask is the token after all clean ones.

    Raises:
      InputError: As `load_pretrained`, or if there is no vocabulary or it does not fit the network.

    Example:
      >>> import json, tempfile
      >>> import safetensors.numpy
      >>> config = {"model_type": "llada", "block_type": "llama", "activation_type": "silu",
      ...           "layer_norm_type": "rms", "include_bias": False, "rope": True, "vocab_size": 3,
      ...           "d_model": 4, "n_layers": 1, "n_heads": 2}
      >>> sizes = {f"blocks.0.{name}_proj": (4, 4) for name in "qkv"} | {"blocks.0.attn_out": (4, 4)}
      >>> sizes |= {"blocks.0.ff_proj": (16, 4), "blocks.0.up_proj": (16, 4), "blocks.0.ff_out": (4, 16)}
      >>> sizes |= {"wte": (3, 4), "ln_f": (4,), "blocks.0.attn_norm": (4,), "blocks.0.ff_norm": (4,)}
      >>> tensors = {f"model.transformer.{name}.weight": np.ones(size, np.float32)
      ...            for name, size in sizes.items()}
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     _ = pathlib.Path(folder, "config.json").write_text(json.dumps(config))
      ...     _ = pathlib.Path(folder, "vocab.txt").write_text("a\nb\n<mask>\n")
      ...     safetensors.numpy.save_file(tensors, pathlib.Path(folder, "model.safetensors"))
      ...     model = load_plain(folder)
      >>> model.vocabulary.encode("a <mask>"), model.never
      ([0, 3], (2,))
    """
    folder = pathlib.Path(folder)
    found = load_pretrained(folder, dtype)
    vocabulary = _vocabulary(folder, found)
    if found.model.mask_id < vocabulary.size:
        vocabulary = dataclasses.replace(vocabulary, mask=found.model.mask_id)
    if vocabulary.size > found.vocab_size:
        raise InputError(
            f"{folder}: a vocabulary of {vocabulary.size} tokens, the network has {found.vocab_size}; "
            "copy the model's own files"
        )
    about, chat = read_about(folder), read_chat(folder)
    before, after = _frame(found)
    if found.family not in FRAMES:
        before = begins(vocabulary, about)
    why_never = _why_never(found, vocabulary)
    never = tuple(sorted(why_never))
    denoiser = PlainDenoiser(
        found.model.denoiser, vocabulary.size, found.model.mask_id, before, after, never
    )
    length = found.length - len(before) - len(after)
    if length < 1:
        raise InputError(f"{folder}: sequences of {found.length} tokens, their ends included; none is left")
    return Named(
        str(folder),
        Model(denoiser, found.model.params, vocabulary.size),
        vocabulary,
        length,
        max(found.config.vocab_size, found.config.hidden, found.config.heads * found.length),
        config=found.config,
        never=never,
        why_never=why_never,
        stretches=found.is_rotary,
        chat=chat,
        ends=tuple(
            token
            for token in ends(folder, vocabulary, about, chat)
            if not is_unasked("eos_token_id", found.family, token, found.names)
        ),
    )


def _why_never(found: Pretrained, vocabulary: Symbols | Tokenizer) -> dict[int, str]:
    """The tokens of a vocabulary that are not drawn, and why."""
    names = found.names
    why: dict[int, str] = {}
    if found.family in FRAMES:
        special = {number: names.why_special(text) for text, number in names.number_of.items()}
        why |= {number: reason for number, reason in special.items() if reason is not None}
        if found.pad_id is not None:
            why[found.pad_id] = "padding"
    if isinstance(vocabulary, Tokenizer):
        why |= dict.fromkeys(vocabulary.textless, WITHOUT_TEXT)
    why |= dict.fromkeys(_rare(vocabulary), "no one residue")
    why[found.model.mask_id] = "the mask"
    return {number: reason for number, reason in why.items() if number < vocabulary.size}


def _frame(found: Pretrained) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The tokens before and behind every sequence: those that the tokenizer names, or the family's."""
    if found.family not in FRAMES:
        return (), ()
    number_of, named = found.names.number_of, found.names.roles
    pairs = [
        (named.get("cls_token", ""), named.get("sep_token", "")),
        FRAMES[found.family],
        *FRAMES.values(),
    ]
    whole = [
        (number_of[first], number_of[last]) for first, last in pairs if {first, last} <= number_of.keys()
    ]
    if not whole:
        return (), ()
    return (whole[0][0],), (whole[0][1],)


def _vocabulary(folder: pathlib.Path, found: Pretrained) -> Symbols | Tokenizer:
    """What the tokens of a network stand for."""
    tokenizer = tokenizer_object(folder, found.family)
    if tokenizer is not None:
        path, content = tokenizer
        texts = {number: text for text, number in found.names.number_of.items()}
        in_order = tuple(texts[number] for number in sorted(texts))
        is_whole = sorted(texts) == list(range(len(texts)))
        if is_whole and (found.family in BY_LETTER or (found.family in FRAMES and _is_protein(in_order))):
            return _symbols(in_order, found.family)
        is_file = path.name == TOKENIZER_FILE
        return read_tokenizer(path) if is_file else Tokenizer(json.dumps(content))
    if found.symbols is not None:
        assert_each_once(folder / VOCABULARY_FILE, found.symbols)
        return _symbols(found.symbols, found.family)
    raise InputError(
        f"{folder}: has neither {TOKENIZER_FILE} nor {VOCABULARY_FILE} nor {WORDS_FILE} and {MERGES_FILE}, "
        "so that its tokens have no text; copy the model's own"
    )


def _symbols(texts: tuple[str, ...], family: str) -> Symbols:
    """The vocabulary of some symbols: letters in a row if they are a protein's or the family's are."""
    return Residues(texts) if family in BY_LETTER or _is_protein(texts) else Symbols(texts)


def _is_protein(texts: tuple[str, ...]) -> bool:
    """Whether all but special tokens are letters, those of amino acids among them."""
    plain = [text for text in texts if not SPECIAL.fullmatch(text)]
    return AMINO_ACIDS.issubset(plain) and all(len(text) == 1 for text in plain)


def _rare(vocabulary: Symbols | Tokenizer) -> set[int]:
    """Tokens that stand for no one residue of a protein."""
    if not isinstance(vocabulary, Residues) or not AMINO_ACIDS.issubset(vocabulary.symbols):
        return set()
    return {number for number, text in enumerate(vocabulary.symbols) if text in RARE}
