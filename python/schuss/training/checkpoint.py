"""Checkpoints: safetensors files with arrays, and all the rest as JSON in their metadata."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from schuss.training.trainer import Arrays

FORMAT = "schuss.training 3"


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged, or of another training."""


def save(path: Path, arrays: Arrays, facts: Mapping[str, Any]) -> None:
    """Write a checkpoint; whenever this is interrupted, `path` holds either the old one or the new one.

    Args:
        path: The file.
        arrays: Arrays by name, in named parts; array `a` of part `p` is saved as `p.a`.
        facts: What JSON can say. Floats come back with the same bits.
    """
    tensors = {f"{part}.{name}": array for part, named in arrays.items() for name, array in named.items()}
    metadata = {"format": FORMAT, "parts": json.dumps(list(arrays)), "facts": json.dumps(facts, allow_nan=False)}
    write_atomically(path, safetensors.numpy.save(tensors, metadata))


def load(path: Path) -> tuple[Arrays, dict[str, Any]]:
    """The arrays and the facts of a checkpoint.

    Raises:
        CheckpointError: There is no such file, or it is no checkpoint, or a damaged one.
    """
    try:
        with safetensors.safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no dict
    except FileNotFoundError:
        raise CheckpointError(f"there is no {path}") from None
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from None
    if metadata.get("format") != FORMAT and metadata.get("format", "").startswith(FORMAT[:-1]):
        raise CheckpointError(f"{path} is of another version of schuss train")
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{path} is no checkpoint of schuss train")
    arrays: Arrays = {part: {} for part in json.loads(metadata["parts"])}
    for tensor, array in tensors.items():
        part, name = tensor.split(".", 1)
        arrays[part][name] = array
    return arrays, json.loads(metadata["facts"])


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file in one go: nobody ever sees half of it, not even after an interrupt."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        np.frombuffer(content, np.uint8).tofile(temporary)  # one call: no interrupt comes while a file is open
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
