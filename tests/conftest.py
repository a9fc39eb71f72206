"""Strict numerics for every test: double precision, no silent promotion, checked shapes."""

import jax
from jaxtyping import install_import_hook

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# Checks the annotated shapes and dtypes of every mdmot function while it is traced.
install_import_hook("mdmot", "beartype.beartype")
