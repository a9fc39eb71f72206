"""Tokenizers and chat templates do what those of `transformers` do; runs where that is installed."""

import json
import warnings

import numpy as np
import pytest
from test_chat import ABOUT, TEMPLATE, write_chat_model
from test_published_folders import MERGES, SIGN, added, write_merges

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    transformers = pytest.importorskip("transformers")

from mdmot.models.pretrained.byte_level import byte_level
from mdmot.models.pretrained.conversation import begins, read_about, read_chat
from mdmot.vocabulary import Tokenizer, read_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore")  # PyTorch's own

TEXTS = (
    "to  be\tor\n\n not to 12 be, it's I'LL  ",
    "naïve cafe\u0301 東京 😀 def f(x):\r\n    return x1 + 23",
    " <|endoftext|>to<|mask|> a <|mask|>",
    "x\u2028y\u00a0z \u200d!?",
    "",
)


def ids(tokenizer, text):
    return tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("name", ["Qwen2Tokenizer", "GPT2Tokenizer"])
def test_tokenizers_of_merges(tmp_path, name):
    special = ("<|endoftext|>", "<|mask|>")
    about = {
        "tokenizer_class": name,
        "eos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
        "added_tokens_decoder": {
            str(256 + len(MERGES) + k): added(256 + len(MERGES) + k, text) for k, text in enumerate(special)
        },
    }
    write_merges(tmp_path, about)
    theirs = getattr(transformers, name).from_pretrained(tmp_path)
    ours = Tokenizer(json.dumps(byte_level(tmp_path, "Dream")))
    letters = [*SIGN.values(), " ", "\n", "é", "'s", "12", "<|mask|>"]
    generator = np.random.default_rng(0)
    drawn = ("".join(generator.choice(letters, 30)) for _ in range(50))
    for text in (*TEXTS, *drawn):
        assert ours.encode(text) == ids(theirs, text), text


def test_chat_templates(tmp_path):
    write_chat_model(tmp_path, ABOUT | {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>"})
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    chat = read_chat(tmp_path)
    lines = "{% for m in messages %}\n  {% if m.role == 'user' %}\n{{ m | tojson }}\n"
    lines += "  {% endif %}\n{% endfor %}"
    for template in (TEMPLATE, lines, "{%- if tools %}a{% endif %}{{ messages[0].content }}\n"):
        theirs.chat_template = template
        for system in (None, "be <not>"):
            messages = [] if system is None else [{"role": "system", "content": system}]
            messages.append({"role": "user", "content": " to be é "})
            expected = theirs.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            ours = type(chat)(template, chat.special)
            assert ours.prompt(" to be é ", system) == expected


@pytest.mark.parametrize("is_asked", [True, False])
def test_what_begins_a_text(tmp_path, is_asked):
    pieces = [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    pair = [*pieces, {"Sequence": {"id": "B", "type_id": 0}}]
    processor = {"type": "TemplateProcessing", "single": pieces, "pair": pair}
    processor["special_tokens"] = {"<s>": {"id": "<s>", "ids": [8], "tokens": ["<s>"]}}
    about = {"bos_token": "<s>", "tokenizer_class": "PreTrainedTokenizerFast"}
    write_chat_model(tmp_path, about, processor if is_asked else None)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    ours = read_tokenizer(tmp_path)
    text = "to be"
    assert [*begins(ours, read_about(tmp_path)), *ours.encode(text)] == theirs(text)["input_ids"]


def test_roberta_and_its_mask(tmp_path):
    words = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
    mask = {"__type": "AddedToken"} | added(0, "<mask>", lstrip=True)
    write_merges(tmp_path, {"tokenizer_class": "RobertaTokenizer", "mask_token": mask}, words)
    theirs = transformers.RobertaTokenizer.from_pretrained(tmp_path)
    ours = Tokenizer(json.dumps(byte_level(tmp_path, "roberta")))
    for text in (*TEXTS, "to <mask> be <mask><mask>.", "a</s>b"):
        assert ours.encode(text) == ids(theirs, text), text
