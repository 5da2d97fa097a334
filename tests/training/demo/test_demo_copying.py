"""The copying circuit: an untrained model that already prefers what came next the last time."""

from __future__ import annotations

import pytest

from training.demo.copying import seed_copying


@pytest.mark.parametrize(("seeded", "gains"), [(True, True), (False, False)])
def test_a_seeded_model_expects_a_sequence_to_repeat(seeded: bool, gains: bool) -> None:
    import torch
    from torch.nn.functional import cross_entropy
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    shape = {"hidden_size": 256, "intermediate_size": 64, "num_hidden_layers": 2}
    model = LlamaForCausalLM(
        LlamaConfig(vocab_size=500, num_attention_heads=8, tie_word_embeddings=True, **shape)
    )
    if seeded:
        seed_copying(model, seed=1)
    once = torch.randint(0, 500, (4, 30))
    with torch.inference_mode():
        logits = model(torch.cat([once, once], dim=1)).logits
    new = cross_entropy(logits[:, :29].flatten(0, 1), once[:, 1:].flatten())
    again = cross_entropy(logits[:, 30:-1].flatten(0, 1), once[:, 1:].flatten())
    assert (float(new - again) > 0.5) is gains
