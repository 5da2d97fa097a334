"""Start a Llama model with heads that copy: what came after this token the last time it occurred.

Answers for the induction circuit of Olsson et al., "In-context Learning and Induction Heads"
(2022), written into the weights of the first two layers before training. A model this small finds
it by itself only after millions of tokens; from this start it refines it at once. Knows nothing
of the corpus.
"""

from typing import Any

CIRCUITS = 3
SPREAD = 0.06  # standard deviation of the token embeddings
CONSTANT = 4 * SPREAD  # the first embedding coordinate, alike for every token
_NEAR_PAIRS = 5  # rotary pairs fast enough to tell neighbouring positions apart
_NEAR_SCORE = 1.4
_MATCH_SCORE = 2.3
_WRITE = 2 * SPREAD


def seed_copying(model: Any, *, seed: int) -> None:
    """Overwrite the embeddings and CIRCUITS heads in each of the first two layers, in place.

    A head of the first layer attends to the token before and writes what it was; its partner in the
    second layer attends to where that equals the current token and writes the token it finds.
    """
    import torch

    draw = torch.Generator().manual_seed(seed)
    width, size = model.config.hidden_size, model.config.head_dim
    first, second = (layer.self_attn for layer in model.model.layers[:2])
    with torch.no_grad():
        embeddings = model.model.embed_tokens.weight
        embeddings.normal_(0.0, SPREAD, generator=draw)
        embeddings[:, 0] = CONSTANT
        for head in range(CIRCUITS):
            rows = slice(head * size, (head + 1) * size)
            bases = _draw_bases(width, draw)
            _look_one_back(first, rows, bases, _turn_by_one(model.config))
            _look_for_match(second, rows, bases)


def _draw_bases(width: int, draw: Any) -> tuple[Any, Any, Any]:
    """Orthonormal bases apart from the constant: what to match, where it is kept, what to copy."""
    import torch

    square, _ = torch.linalg.qr(torch.randn(width - 1, width - 1, generator=draw))
    wide = torch.cat([torch.zeros(width - 1, 1), square], dim=1)
    return wide[:16], wide[16:32], wide[32:64]


def _turn_by_one(config: Any) -> tuple[Any, Any]:
    """Query and key that rotary positions bring together exactly one position apart."""
    import torch

    half = config.head_dim // 2
    speeds = config.rope_parameters["rope_theta"] ** (-torch.arange(half) / half)
    near = torch.zeros(half)
    near[:_NEAR_PAIRS] = _NEAR_SCORE
    return torch.cat([near, 0 * near]), torch.cat([near * speeds.cos(), near * speeds.sin()])


def _look_one_back(
    attention: Any, rows: slice, bases: tuple[Any, Any, Any], turned: tuple[Any, Any]
) -> None:
    what, where, _ = bases
    _clear(attention, rows)
    attention.q_proj.weight[rows, 0], attention.k_proj.weight[rows, 0] = turned
    attention.v_proj.weight[rows][:16] = what
    attention.o_proj.weight[:, rows][:, :16] = _WRITE * where.T


def _look_for_match(attention: Any, rows: slice, bases: tuple[Any, Any, Any]) -> None:
    what, where, copied = bases
    _clear(attention, rows)
    half = (rows.stop - rows.start) // 2
    # Only the slow half of the rotary pairs compares contents alike at any distance.
    slow = [*range(half // 2, half), *range(half + half // 2, 2 * half)]
    attention.q_proj.weight[rows][slow] = _MATCH_SCORE * what
    attention.k_proj.weight[rows][slow] = _MATCH_SCORE * where
    attention.v_proj.weight[rows] = copied
    attention.o_proj.weight[:, rows] = _WRITE * copied.T


def _clear(attention: Any, rows: slice) -> None:
    for name in ("q_proj", "k_proj", "v_proj"):
        getattr(attention, name).weight[rows] = 0.0
    attention.o_proj.weight[:, rows] = 0.0
