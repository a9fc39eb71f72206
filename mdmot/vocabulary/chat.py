"""Chat templates: what turns a question into the text that a model was trained to answer."""

import dataclasses
from collections.abc import Mapping, Sequence

from mdmot.errors import InputError

ANSWER = "\ue000answer\ue000"
"""Stands for an answer; no template has it."""


@dataclasses.dataclass(frozen=True)
class Chat:
    """A chat template of a Hugging Face tokenizer.

    Attributes:
      template: Its text, in jinja's language; it runs in jinja's sandbox, as in transformers.
      special: The texts of special tokens by the names that templates have for them, as bos_token.
      where: Its file, for messages.

    Example:
      >>> chat = Chat("{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>{% endfor %}"
      ...             "{% if add_generation_prompt %}<assistant>{% endif %}")
      >>> chat.prompt("Hello", system="Be kind."), chat.after_answer()
      ('<system>Be kind.</s><user>Hello</s><assistant>', '</s>')
    """

    template: str = dataclasses.field(repr=False)
    special: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    where: str = "chat template"

    def prompt(self, question: str, system: str | None = None) -> str:
        """The text that an answer follows.

        Args:
          question: What the user says.
          system: What the model is told before; None for nothing, or what the template has of its own.

        Raises:
          InputError: If the template is none, or refuses these messages.
        """
        before = [] if system is None else [{"role": "system", "content": system}]
        return self._rendered([*before, {"role": "user", "content": question}], add_generation_prompt=True)

    def after_answer(self) -> str:
        """What the template writes behind an answer; nothing if it has no answers.

        Raises:
          InputError: If the template is none, or refuses an answer.
        """
        messages = [{"role": "user", "content": "?"}, {"role": "assistant", "content": ANSWER}]
        return self._rendered(messages, add_generation_prompt=False).partition(ANSWER)[2]

    def _rendered(self, messages: Sequence[Mapping[str, str]], add_generation_prompt: bool) -> str:
        from mdmot.vocabulary.chat_language import environment

        try:
            template = environment().from_string(self.template)
            return template.render(
                messages=messages,
                tools=None,
                documents=None,
                add_generation_prompt=add_generation_prompt,
                **self.special,
            )
        except Exception as error:  # a template may fail in every way that a program may
            reason = " ".join(str(error).split()) or type(error).__name__
            raise InputError(
                f"{self.where}: the chat template fails ({reason}); "
                "pass --prompt, with all that belongs to it"
            ) from None
