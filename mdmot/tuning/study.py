"""The database of a search: one study of Optuna, opened, described and lost in one line each.

Loaded when a search runs: it needs Optuna, the extra `tune`.
"""

import contextlib
import json
import os
import pathlib
import time
import warnings
from collections.abc import Iterator
from typing import Any

import optuna
import sqlalchemy
import sqlalchemy.engine
import sqlalchemy.exc

from mdmot.errors import InputError, shown

HEARTBEAT_SECONDS, GRACE_SECONDS = 20, 120
"""A worker on another machine is given up when it has been silent for the grace period."""


@contextlib.contextmanager
def open_study(
    database: str | os.PathLike, name: str, sampler: optuna.samplers.BaseSampler
) -> Iterator[optuna.Study]:
    """The study of this name, made if it is new; its connections are closed in the end.

    Args:
      database: Path of an SQLite file, made if it is new, or the URL of any database that SQLAlchemy knows.
      name: Name of the study.
      sampler: What suggests its points.

    Yields:
      The study, whose score is to be maximised.

    Raises:
      InputError: If the database cannot be reached, or its tables are another Optuna's.
    """
    url = _url(database)
    for attempt in range(5):
        try:
            storage, study = _connect(url, name, sampler)
            break
        except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.OptunaError) as error:
            # Workers that start together may race to make the tables; the later ones find them made.
            is_race = "already exists" in str(error) or "UNIQUE" in str(error.__cause__)
            if not is_race or attempt == 4:
                raise _unusable(url, error) from error
            time.sleep(0.2 * (attempt + 1))
        except (ImportError, ValueError, RuntimeError) as error:  # no driver, no such port, old tables
            raise _unusable(url, error) from error
    try:
        yield study
    finally:
        storage.remove_session()
        storage.engine.dispose()


@contextlib.contextmanager
def reporting_losses(database: str | os.PathLike) -> Iterator[None]:
    """Turns the loss of the database into one line; what has finished is in it."""
    try:
        yield
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        raise InputError(
            f"database {_shown(_url(database))} was lost ({_reason(error)}); its finished trials are "
            "kept: run the search again to go on"
        ) from error


def assert_same(study: optuna.Study, description: dict[str, Any]) -> None:
    """Records what the study searches, or raises InputError if it has been searching something else."""
    description = json.loads(json.dumps(description))
    recorded = study.user_attrs.get("mdmot")
    if recorded is None:
        study.set_user_attr("mdmot", description)
        recorded = study.user_attrs["mdmot"]
    for name, value in description.items():
        if recorded.get(name) != value:
            raise InputError(
                f"study {study.study_name!r} was begun with {name} {shown(recorded.get(name), 60)}, not "
                f"{shown(value, 60)}; go on with the same, or choose another study name or database"
            )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without Optuna's progress lines, and its warnings that heartbeats and the sampler may change."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            # `ask` says so; the worker keeps the heartbeat itself.
            warnings.filterwarnings("ignore", "Heartbeat of storage is supposed to be used")
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def _connect(
    url: str, name: str, sampler: optuna.samplers.BaseSampler
) -> tuple[optuna.storages.RDBStorage, optuna.Study]:
    # The file of SQLite is locked while another worker writes.
    options = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {}
    # Optuna's storage would leave the connections of a database that it cannot use open.
    engine = sqlalchemy.create_engine(url, **options)
    try:
        sqlalchemy.inspect(engine).get_table_names()
    finally:
        engine.dispose()
    with quiet():
        storage = optuna.storages.RDBStorage(
            url,
            engine_kwargs=options,
            heartbeat_interval=HEARTBEAT_SECONDS,
            grace_period=GRACE_SECONDS,
        )
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            sampler=sampler,
            pruner=optuna.pruners.NopPruner(),
            direction="maximize",
            load_if_exists=True,
        )
    return storage, study


def _url(database: str | os.PathLike) -> str:
    text = os.fspath(database)
    if "://" not in text and "?" in text:
        raise InputError(f"database {text}: a URL would end at the '?'; pass a path without one")
    return text if "://" in text else f"sqlite:///{pathlib.Path(text).absolute()}"


def _unusable(url: str, error: Exception) -> InputError:
    return InputError(
        f"database {_shown(url)} cannot be used ({_reason(error)}); pass the path of an SQLite file in a "
        "folder that exists, or the URL of a database that runs, with its driver installed"
    )


def _shown(url: str) -> str:
    """The address without its password."""
    try:
        return sqlalchemy.engine.make_url(url).render_as_string(hide_password=True)
    except (sqlalchemy.exc.ArgumentError, ValueError):  # not even the form of an address
        return "URL"


def _reason(error: Exception) -> str:
    """The first line of the cause that SQLAlchemy and Optuna wrap."""
    while isinstance(error.__cause__, Exception):
        error = error.__cause__
    return (str(getattr(error, "orig", None) or error).splitlines() or [type(error).__name__])[0]
