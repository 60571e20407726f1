"""Token ids as input: the embedding in front of the backbone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from rnnkit.errors import BuildError, InputError
from rnnkit.model._input_checks import is_integer, not_a_tensor
from rnnkit.model.backbone import padding_mask
from rnnkit.model.readout import Readout

if TYPE_CHECKING:
    from rnnkit.specs import RecurrentSpec


def make_embedding(
    spec: RecurrentSpec[Any], *, device: torch.device | str | None, dtype: torch.dtype | None
) -> nn.Embedding | None:
    """Return the embedding of a spec with `num_embeddings`, initialized as torch initializes it; None without."""
    if spec.num_embeddings is None:
        return None
    return nn.Embedding(spec.num_embeddings, spec.input_size, spec.padding_idx, device=device, dtype=dtype)


def tie_weights(embedding: nn.Embedding, readout: Readout) -> None:
    """Let the embedding use the weight of the linear layer, with zeros for the token `padding_idx`.

    The zeros are initial values: the linear layer trains this row like any other.

    Raises:
        BuildError: the readout has no linear layer, or its weight has another shape.
    """
    weight = getattr(readout.linear, "weight", None)
    if not isinstance(weight, nn.Parameter):
        raise BuildError(f"tie_weights=True requires a readout with a linear layer, but {readout.name!r} has none")
    if weight.shape != embedding.weight.shape:
        raise BuildError(
            "tie_weights=True requires input_size equal to the number of features that the linear layer reads, but "
            f"input_size={embedding.embedding_dim}, and the linear layer reads {weight.shape[-1]} features"
        )
    embedding.weight = weight
    if embedding.padding_idx is not None:
        with torch.no_grad():
            weight[embedding.padding_idx].zero_()


def tie_loaded_weights(model: Any, _incompatible_keys: object) -> None:
    """Tie weights again after `load_state_dict(assign=True)`, which gives each module a parameter of its own.

    Weights with different values are those of a model that was untied on purpose, and stay as they are.
    """
    loaded, weight = weights_to_tie(model)
    if loaded is None or weight is None or loaded.shape != weight.shape:
        return
    if loaded.device == weight.device and (weight.is_meta or torch.equal(loaded, weight)):
        model.embedding.weight = weight


def weights_to_tie(model: Any) -> list[Any]:
    """Return the parameters of the embedding and of the linear layer; None for a module that was replaced."""
    modules = model.embedding, getattr(model.readout, "linear", None)
    weights = [getattr(module, "weight", None) for module in modules]
    return [weight if isinstance(weight, nn.Parameter) else None for weight in weights]


def embed(embedding: nn.Module, tokens: Tensor, lengths: Tensor | None, spec: RecurrentSpec[Any]) -> Tensor:
    """Return the embeddings of token ids, `(batch, time, input_size)`, whatever the ids past each length are.

    Raises:
        InputError: an id is negative or not smaller than `num_embeddings`, on devices where torch reports it.
    """
    if lengths is not None:
        time = tokens.shape[1 if spec.batch_first else 0]
        padding = padding_mask(lengths.to(tokens.device), time, batch_first=spec.batch_first)
        tokens = tokens.masked_fill(padding.squeeze(-1), 0)
    tokens = tokens if tokens.dtype == torch.int32 else tokens.to(torch.int64)  # torch embeds these two only
    try:
        return embedding(tokens)  # type: ignore[no-any-return]  # a module that was put in its place
    except IndexError as error:
        raise InputError(
            f"Each token id must be between 0 and {(spec.num_embeddings or 0) - 1}, as num_embeddings="
            f"{spec.num_embeddings}, but they range from {int(tokens.min())} to {int(tokens.max())}"
        ) from error


def check_tokens(x: Any, *, batch_first: bool) -> None:
    """Raise `InputError` unless x holds integers, `(batch, time)` or time first, with a step or more."""
    if not isinstance(x, Tensor):
        raise InputError(not_a_tensor(x))
    axes = "(batch, time)" if batch_first else "(time, batch)"
    if x.dim() != 2 or x.shape[1 if batch_first else 0] == 0:
        raise InputError(
            f"The input must be token ids of shape {axes} with at least one step, as the spec has num_embeddings, but "
            f"has the shape {tuple(x.shape)}"
        )
    if not is_integer(x):
        raise InputError(
            f"The input must be integer token ids, as the spec has num_embeddings, but is {x.dtype}: convert it, as in "
            "x.long()"
        )
