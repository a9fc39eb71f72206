"""Which tokens are the mask and the padding: what config.json says, beside the files of the tokenizer."""

import pathlib
import warnings

from mdmot.errors import InputError, InputWarning, shown
from mdmot.models.pretrained.byte_level import ABOUT_FILE
from mdmot.models.pretrained.settings import CONFIG_FILE
from mdmot.models.pretrained.symbols import TOKENIZER_FILE, VOCABULARY_FILE
from mdmot.models.pretrained.token_names import TokenNames

UNASKED = {
    "pad_token_id": {"bert": 0, "albert": 0}
    | dict.fromkeys(("roberta", "xlm-roberta", "camembert"), 1)
    | {"modernbert": 50283},
    "eos_token_id": {"albert": 3, "esm": 2, "modernbert": 50282}
    | dict.fromkeys(("roberta", "xlm-roberta", "camembert"), 2),
}
"""Numbers that transformers writes into every config.json of a family, whatever the vocabulary."""

FRAMING = ("cls_token", "sep_token", "bos_token", "eos_token")
FRAMES = frozenset(("[CLS]", "[SEP]", "<cls>", "<eos>", "<s>", "</s>"))
"""Tokens around a sequence, which the network sees, even if its batches are filled up with one of them."""


def is_unasked(key: str, family: str, number: int, names: TokenNames) -> bool:
    """Whether a number is only the one that is in every config.json, and its token is text like others.

    Example:
      >>> names = TokenNames("vocab.txt", {"a": 0, "b": 1, "[PAD]": 2})
      >>> [is_unasked("pad_token_id", "roberta", number, names) for number in (0, 1, 2)]
      [False, True, False]
    """
    text = names.text_of(number)
    usual = UNASKED[key].get(family) == number
    return usual and text is not None and names.why_special(text) is None


def find_mask(folder: pathlib.Path, said: int | None, names: TokenNames) -> int:
    """The token of a masked position.

    Args:
      folder: The folder, for messages.
      said: What its config.json says, None for nothing.
      names: What its other files call its tokens.

    Raises:
      InputError: If nothing tells, or config.json says a token that is text, beside one that is a mask.
    """
    called = names.mask()
    if said is None:
        if called is None:
            raise InputError(
                f"{folder}: neither {CONFIG_FILE} nor {VOCABULARY_FILE} nor {TOKENIZER_FILE} tells which "
                f'token is the mask; write its number as "mask_token_id" into {CONFIG_FILE}, or pass '
                "mask_id to load_pretrained"
            )
        return called
    text = names.text_of(said)
    if called is None or called == said or text is None:
        return said
    told = (
        f"{folder / CONFIG_FILE}: mask_token_id is {said}, which is {text!r} in {names.file}; the mask "
        f"there is {names.text_of(called)!r}, number {called}"
    )
    if names.why_special(text) is None:
        raise InputError(f'{told}: correct one of them, as by "mask_token_id": {called}')
    warnings.warn(f"{told}, and is not used", InputWarning, stacklevel=4)
    return said


def find_padding(
    folder: pathlib.Path, family: str, said: int | None, names: TokenNames, size: int
) -> int | None:
    """The token that nothing attends to: it fills rows up and is no part of a text.

    It is what config.json says, unless the tokenizer's files have text there: then what they call padding,
    and the number counts only if they call nothing so and it is not one that nobody chose.

    Args:
      folder: The folder, for messages.
      family: The family of its network.
      said: What its config.json says, None for nothing.
      names: What its other files call its tokens.
      size: Number of tokens of the network.

    Returns:
      Its number, None if there is none.
    """
    frame = FRAMES.union(names.roles[part] for part in FRAMING if part in names.roles)
    called = [k for k in names.paddings() if k < size and names.text_of(k) not in frame]
    own = called[0] if called else None
    if said is None or said in called:
        return own if said is None else said
    text = names.text_of(said)
    if text is None or text in frame:
        return said if text is None else own
    if names.why_special(text) is not None:
        return said if own is None else own
    told = f"{folder / CONFIG_FILE}: pad_token_id is {said}, which is {text!r} in {names.file}"
    if own is not None:
        told += f"; padding there is {names.text_of(own)!r}, number {own}, and is used"
    elif is_unasked("pad_token_id", family, said, names):
        told += (
            "; it is taken for text, as transformers writes that number unasked: for padding, write "
            f'"pad_token": {shown(text)} into {ABOUT_FILE}'
        )
    else:
        return said
    warnings.warn(told, InputWarning, stacklevel=4)
    return own
