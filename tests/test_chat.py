"""Questions to instruct models: chat templates, what begins a text and what ends it."""

import json
import pathlib

import pytest
from test_pretrained import CONFIGS, tensors_of, write
from test_published_folders import added, word_tokenizer

from mdmot.cli.asking import asked
from mdmot.errors import InputError
from mdmot.models.pretrained import load_plain
from mdmot.models.pretrained.conversation import read_chat
from mdmot.samplers import BernoulliUnmasking, SemiAutoregressive
from mdmot.vocabulary import Chat
from mdmot.workflows.answers import chat_row, cut, for_chat

pytest.importorskip("tokenizers")

TEMPLATE = """
{%- for message in messages %}
    {%- if message.role == 'system' and not loop.first %}{{ raise_exception('one system') }}{% endif %}
    {%- set text = '<|' ~ message.role ~ '|>' ~ message.content | trim ~ '<|turn|>' %}
    {{- bos_token + text if loop.first else text }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"""
WORDS = ("to", "be", "or", "not", "a", "b", "c", "d")
SPECIAL = ("<s>", "</s>", "<|turn|>", "<|system|>", "<|user|>", "<|assistant|>", "<|mdm_mask|>")
SIZE = len(WORDS) + len(SPECIAL)
NUMBER = {text: k for k, text in enumerate((*WORDS, *SPECIAL))}
ABOUT = {"bos_token": "<s>", "eos_token": {"content": "</s>"}, "chat_template": TEMPLATE}
SETTINGS = CONFIGS["llada"] | {"vocab_size": SIZE, "max_sequence_length": 20, "mask_token_id": SIZE - 1}


def write_chat_model(folder, about, post_processor=None):
    write(folder, SETTINGS, tensors_of(SETTINGS))
    content = word_tokenizer(WORDS, *(added(NUMBER[text], text) for text in SPECIAL))
    (folder / "tokenizer.json").write_text(json.dumps(content | {"post_processor": post_processor}))
    (folder / "tokenizer_config.json").write_text(json.dumps(about))
    return folder


def numbers(*texts):
    return tuple(NUMBER[text] for text in texts)


def test_templates_are_rendered_as_transformers_does():
    chat = Chat(TEMPLATE, {"bos_token": "<s>"})
    assert chat.prompt(" to be ") == "<s><|user|>to be<|turn|><|assistant|>"
    assert chat.prompt("to", "be") == "<s><|system|>be<|turn|><|user|>to<|turn|><|assistant|>"
    assert chat.after_answer() == "<|turn|>"
    # Blocks take their line end and the blanks before them; loops may be left; marks of what was written.
    lines = "{% for m in messages %}\n  {% if loop.index > 1 %}\n  {% break %}\n  {% endif %}\n"
    lines += "{{ m.role }}\n{% endfor %}"
    assert Chat(lines).prompt("to", "be") == "system\n"
    marked = "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}"
    assert Chat(marked).prompt("to") == "to"
    assert Chat("{% if tools is not none %}{{ tools | length }}{% endif %}a").prompt("to") == "a"
    assert Chat("{{ messages | tojson }}").prompt("<é>") == '[{"role": "user", "content": "<é>"}]'


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ raise_exception('no system here') }}", "no system here"),
        ("{% for %}", "Expected an expression"),
        ("{{ nothing + 'a' }}", "'nothing' is undefined"),
        ("{{ messages.append(1) }}", "unsafe"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ cycler.__init__.__globals__ }}", "unsafe"),
        ("{% include 'file' %}", "no loader"),
    ],
)
def test_templates_that_fail_or_reach_out_are_refused_in_one_line(template, words):
    with pytest.raises(InputError, match=words) as caught:
        Chat(template, where="chat.jinja").prompt("to")
    assert str(caught.value).startswith("chat.jinja: the chat template fails (")
    assert "\n" not in str(caught.value)


def test_templates_are_found_wherever_they_are_kept(tmp_path):
    def found():
        chat = read_chat(tmp_path)
        return None if chat is None else (chat.template, pathlib.Path(chat.where).name)

    assert found() is None
    about = tmp_path / "tokenizer_config.json"
    about.write_text(json.dumps({"eos_token": None}))
    assert found() is None
    several = [{"name": "tool_use", "template": "b"}, {"name": "default", "template": "a"}]
    about.write_text("\ufeff" + json.dumps({"chat_template": several}))
    assert found() == ("a", "tokenizer_config.json")
    (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": "c"}))
    assert found() == ("c", "chat_template.json")
    (tmp_path / "chat_template.jinja").write_text("\ufeffd")
    assert found() == ("d", "chat_template.jinja")


def test_texts_begin_as_the_tokenizer_says_and_chats_as_the_template_says(tmp_path):
    pieces = [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    begin = {"id": "<s>", "ids": [NUMBER["<s>"]], "tokens": ["<s>"]}
    processor = {
        "type": "TemplateProcessing",
        "single": pieces,
        "pair": pieces,
        "special_tokens": {"<s>": begin},
    }
    processor["pair"] = [*pieces, {"Sequence": {"id": "B", "type_id": 0}}]
    said = {True: numbers("<s>"), False: (), None: ()}
    for processed, flags in ((None, said), (processor, said | {None: numbers("<s>")})):
        for flag, expected in flags.items():
            about = ABOUT | ({} if flag is None else {"add_bos_token": flag})
            model = load_plain(write_chat_model(tmp_path, about, processed))
            assert model.model.denoiser.before == expected
            assert model.length == 20 - len(expected)
            chat = for_chat(model)
            assert (chat.model.denoiser.before, chat.length) == ((), 20)
            row = chat_row(chat, "to be", None, 3)
            assert row == (
                *numbers("<s>", "<|user|>", "to", "be", "<|turn|>", "<|assistant|>"),
                *[SIZE] * 3,
            )


def test_texts_end_as_the_template_and_the_files_say(tmp_path):
    write_chat_model(tmp_path, ABOUT)
    assert load_plain(tmp_path).ends == numbers("<|turn|>", "</s>")
    (tmp_path / "config.json").write_text(json.dumps(SETTINGS | {"eos_token_id": NUMBER["<s>"]}))
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [NUMBER["</s>"], 99]}))
    assert load_plain(tmp_path).ends == numbers("<|turn|>", "</s>", "<s>")
    (tmp_path / "tokenizer_config.json").write_text("{}")
    assert load_plain(tmp_path).ends == numbers("</s>", "<s>")


def test_ends_are_looked_for_in_what_was_drawn():
    start = (5, 1, 9, 9, 9, 9)
    assert cut([5, 1, 2, 5, 1, 3], start, 9, [(5, 1)], True) == ([2], True)
    assert cut([5, 1, 2, 5, 1, 3], start, 9, [(5, 1)], False) == ([5, 1, 2], True)
    assert cut([5, 1, 2, 5, 1, 3], start, 9, [(1, 5)], True) == ([2, 5, 1, 3], False)
    assert cut([5, 1], (5, 1), 9, [(5,)], False) == ([5, 1], False)
    # A mask within the question is no answer.
    assert cut([4, 5, 1, 2, 3, 5], (4, 9, 1, 9, 9, 9), 9, [(5,)], True) == ([2, 3], True)


def test_blocks_stop_at_the_first_kind_of_end(tmp_path):
    model = load_plain(write_chat_model(tmp_path, ABOUT))

    def beginning(chat, *end):
        return asked(model, None if chat else "to", None, chat, None, end, 6, "□", "▁")

    blocks = SemiAutoregressive(BernoulliUnmasking(), 2)
    assert beginning(["to"]).in_blocks(blocks).end_id == NUMBER["<|turn|>"]
    assert beginning((), "to be", "or").in_blocks(blocks).end_id == NUMBER["or"]
    assert beginning(()).in_blocks(blocks) is blocks
    assert beginning(["to"]).in_blocks(blocks.rule) is blocks.rule


def test_questions_of_different_lengths_are_answered_together_as_alone(run, tmp_path):
    folder = write_chat_model(tmp_path, ABOUT)
    options = ("--sampler", "confidence", "--temperature", 0, "--length", 5, "--steps", 2, "--json")
    questions = ("to", "or not to be")

    def answers(*chat):
        status, out, err = run(
            "sample", folder, *(word for text in chat for word in ("--chat", text)), *options
        )
        assert status == 0, err
        return json.loads(out)["samples"], err

    together, err = answers(*questions)
    alone = [answers(question)[0][0] for question in questions]
    assert [one["tokens"] for one in together] == [one["tokens"] for one in alone]
    assert len({len(one["tokens"]) for one in together}) == 2
    names = (*WORDS, *SPECIAL)
    unended = 0
    for one in together:
        drawn = [names[token] for token in one["tokens"][-5:]]
        ends = [place for place, text in enumerate(drawn) if text in ("<|turn|>", "</s>")]
        unended += not ends
        assert one["text"].split() == drawn[: min(ends, default=5)]
    assert f"{unended} of 2 answers have no end" in err if unended else not err


def test_options_that_do_not_go_together_are_refused(run, tmp_path):
    folder = write_chat_model(tmp_path, {"chat_template": "{{ bos_token + 'a' }}"})
    for arguments, words in (
        (("--chat", "a", "--prompt", "b"), "--chat is given with --prompt or --template"),
        (("--system", "a"), "pass --chat too"),
        (("--chat", "a"), "tokenizer_config.json: the chat template fails ('bos_token' is undefined)"),
        (("--end", ""), "--end '' has no token"),
    ):
        status, out, err = run("sample", folder, *arguments)
        assert (status, out, err.count("\n")) == (2, "", 1), err
        assert words in err
    status, _, err = run("sample", "markov:states=2,length=4", "--chat", "a")
    assert (status, err.count("\n")) == (2, 1)
    assert "--chat: markov:states=2,length=4 has no chat template" in err
