"""What is passed for a curve in time and is none, named."""


def slip(value: object, parser: str, example: str, more: str = "") -> str:
    """What a value is that is not what was asked for, and what to pass.

    Args:
      value: What was passed.
      parser: The function of `mdmot.plans` that reads a name of what was asked for.
      example: What is asked for, as one writes it.
      more: What would do too, in words, behind the example.

    Returns:
      The message behind its subject.

    Example:
      >>> slip("linear", "parse_schedule", "masks.linear()")
      "is the text 'linear'; pass a value, as mdmot.plans.parse_schedule('linear')"
    """
    if isinstance(value, str):
        return f"is the text {value!r}; pass a value, as mdmot.plans.{parser}({value!r})"
    if callable(value):
        name = getattr(value, "__name__", type(value).__name__)
        return f"is the function {name}; call it for its value, as {example}"
    if hasattr(value, "path_kl"):
        return f"is a plan of separate steps; pass a curve in time, as {example}"
    if hasattr(value, "reveal"):
        return "is a grid of steps already; pass it where steps are asked for"
    if hasattr(value, "optimal_interpolation"):
        return f"is a mask schedule alpha; pass a gamma, as {example}, or its .optimal_interpolation()"
    if hasattr(value, "gamma_dot"):
        return f"is an interpolation gamma; pass an alpha, as {example}, or masks.optimal(interpolation)"
    return f"is of type {type(value).__name__}; pass a value such as {example}{more}"
