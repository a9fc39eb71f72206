"""Which of the tool's mutants say something about tests: those of the code that computes."""

import ast
import functools
import itertools
from pathlib import Path
from typing import Any

# One or two near faults a place. The other replacements of the tool (a shift of floats, `is` for `<`) mostly
# raise a TypeError at once, and would flatter the score.
OPERATORS = {
    f"core/{name}"
    for name in (
        *("ReplaceBinaryOperator_Add_Sub", "ReplaceBinaryOperator_Sub_Add"),
        *(
            "ReplaceBinaryOperator_Mul_Div",
            "ReplaceBinaryOperator_Div_Mul",
            "ReplaceBinaryOperator_Pow_Mul",
        ),
        *("ReplaceBinaryOperator_FloorDiv_Mul", "ReplaceBinaryOperator_Mod_FloorDiv"),
        *("ReplaceBinaryOperator_BitAnd_BitOr", "ReplaceBinaryOperator_BitOr_BitAnd"),
        *("ReplaceBinaryOperator_LShift_RShift", "ReplaceBinaryOperator_RShift_LShift"),
        *("ReplaceComparisonOperator_Lt_LtE", "ReplaceComparisonOperator_Lt_GtE"),
        *("ReplaceComparisonOperator_LtE_Lt", "ReplaceComparisonOperator_LtE_Gt"),
        *("ReplaceComparisonOperator_Gt_GtE", "ReplaceComparisonOperator_Gt_LtE"),
        *("ReplaceComparisonOperator_GtE_Gt", "ReplaceComparisonOperator_GtE_Lt"),
        *("ReplaceComparisonOperator_Eq_NotEq", "ReplaceComparisonOperator_NotEq_Eq"),
        *("ReplaceComparisonOperator_Is_IsNot", "ReplaceComparisonOperator_IsNot_Is"),
        *("ReplaceUnaryOperator_Delete_USub", "ReplaceUnaryOperator_Delete_Invert"),
        *("ReplaceUnaryOperator_Delete_Not", "AddNot", "ReplaceAndWithOr", "ReplaceOrWithAnd"),
        *(
            "ReplaceTrueWithFalse",
            "ReplaceFalseWithTrue",
            "ReplaceBreakWithContinue",
            "ReplaceContinueWithBreak",
        ),
        *("NumberReplacer", "RemoveDecorator", "ZeroIterationForLoop", "ExceptionReplacer"),
    )
}

Span = tuple[tuple[int, int], tuple[int, int]]


def is_telling(mutation: Any, root: Path) -> bool:
    """Whether a mutation (the tool's `MutationSpec`) is one of code that computes."""
    if mutation.operator_name not in OPERATORS:
        return False
    start = tuple(mutation.start_pos)
    return not any(low <= start < high for low, high in _silent_spans(root / mutation.module_path))


@functools.cache
def _silent_spans(path: Path) -> tuple[Span, ...]:
    """Where a change cannot matter or is a matter of words: annotations, messages, compilation."""
    return tuple(itertools.chain.from_iterable(map(_spans_of, ast.walk(ast.parse(path.read_text())))))


def _spans_of(node: ast.AST) -> list[Span]:
    silent: list[ast.AST | None] = []
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        silent += [decorator for decorator in node.decorator_list if _is_compilation(decorator)]
    if isinstance(node, ast.FunctionDef):
        silent.append(node.returns)
    if isinstance(node, ast.arg | ast.AnnAssign):
        silent.append(node.annotation)
    if isinstance(node, ast.Raise):
        silent.append(node)
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        silent.append(node)
    # A decorator's span begins at its "@", one character before the expression.
    return [
        ((x.lineno, x.col_offset - 1), (x.end_lineno, x.end_col_offset)) for x in silent if x is not None
    ]


def _is_compilation(decorator: ast.expr) -> bool:
    return any(
        word in ast.unparse(decorator) for word in ("jax.jit", "functools.cache", "runtime_checkable")
    )
