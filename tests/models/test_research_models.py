"""Research weights: both dialects of names against the model written out by hand, and two published models."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from heldout.errors import InputError
from heldout.models import Site, Tokens, ZeroAblate, load_research_weights

PUBLISHED = Path(__file__).parents[3] / "shared" / "data"
LAYERS, HEADS, D_MODEL, D_HEAD, D_MLP, WORDS, CONTEXT = 2, 3, 12, 4, 20, 11, 7


def published(name: str) -> Path:
    if not PUBLISHED.is_dir():
        pytest.skip(f"the folder of published research weights, {PUBLISHED}, is absent")
    return PUBLISHED / name


def random_state(*, mlp: bool, extras: bool) -> dict[str, Tensor]:
    """A state dict with TransformerLens's names and shapes; `extras` are LayerNorms and biases."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator) / shape[-1] ** 0.5

    state = {"embed.W_E": draw(WORDS, D_MODEL), "pos_embed.W_pos": draw(CONTEXT, D_MODEL)}
    state["unembed.W_U"] = draw(D_MODEL, WORDS)
    for layer in (f"blocks.{i}." for i in range(LAYERS)):
        state |= {layer + f"attn.W_{name}": draw(HEADS, D_MODEL, D_HEAD) for name in "QKV"}
        state[layer + "attn.W_O"] = draw(HEADS, D_HEAD, D_MODEL)
        state[layer + "attn.mask"] = torch.ones(CONTEXT, CONTEXT).tril()
        if mlp:
            state |= {layer + "mlp.W_in": draw(D_MODEL, D_MLP), layer + "mlp.W_out": draw(D_MLP, D_MODEL)}
        if extras:
            state |= {layer + f"attn.b_{name}": draw(HEADS, D_HEAD) for name in "QKV"}
            state |= {layer + "attn.b_O": draw(D_MODEL), layer + "mlp.b_in": draw(D_MLP)}
            state |= {layer + "mlp.b_out": draw(D_MODEL)}
            state |= {layer + f"ln{i}.{part}": draw(D_MODEL) for i in (1, 2) for part in "wb"}
    if extras:
        state |= {"unembed.b_U": draw(WORDS), "ln_final.w": draw(D_MODEL), "ln_final.b": draw(D_MODEL)}
    return state


def output_by_input(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same weights in the dialect that stores every matrix as output × input."""
    changes = {
        "W_E": lambda w: w.T,
        "W_in": lambda w: w.T,
        "W_out": lambda w: w.T,
        "W_O": lambda w: torch.einsum("hdm->mhd", w).flatten(1),
        **dict.fromkeys(("W_Q", "W_K", "W_V"), lambda w: torch.einsum("hmd->hdm", w)),
    }
    return {name: changes.get(name.split(".")[-1], lambda w: w)(tensor) for name, tensor in state.items()}


def by_hand(state: dict[str, Tensor], ids: Tensor, activation: str, *, normalised: bool = False) -> Tensor:
    """Logits from the definition, one head at a time, for one prompt."""

    def norm(stream: Tensor, name: str) -> Tensor:
        if name + ".w" not in state and not normalised:
            return stream
        centred = stream - stream.mean(dim=-1, keepdim=True)
        scaled = centred / (centred.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt()
        return scaled * state.get(name + ".w", 1) + state.get(name + ".b", 0)

    stream = state["embed.W_E"][ids] + state["pos_embed.W_pos"][: len(ids)]
    for layer in (f"blocks.{i}." for i in range(LAYERS)):
        normed, added = norm(stream, layer + "ln1"), torch.zeros_like(stream)
        for head in range(HEADS):
            query, key, value = (
                normed @ state[layer + f"attn.W_{n}"][head]
                + state.get(layer + f"attn.b_{n}", torch.zeros(HEADS, 1))[head]
                for n in "QKV"
            )
            scores = query @ key.T / D_HEAD**0.5
            scores[torch.ones_like(scores).triu(1).bool()] = -torch.inf
            added += scores.softmax(dim=-1) @ value @ state[layer + "attn.W_O"][head]
        stream = stream + added + state.get(layer + "attn.b_O", 0)
        if layer + "mlp.W_in" in state:
            hidden = norm(stream, layer + "ln2") @ state[layer + "mlp.W_in"] + state.get(layer + "mlp.b_in", 0)
            hidden = {"relu": torch.relu, "gelu": torch.nn.functional.gelu, "none": lambda x: x}[activation](hidden)
            stream = stream + hidden @ state[layer + "mlp.W_out"] + state.get(layer + "mlp.b_out", 0)
    return norm(stream, "ln_final") @ state["unembed.W_U"] + state.get("unembed.b_U", 0)


@pytest.mark.parametrize(("mlp", "extras"), [(True, True), (True, False), (False, False)])
@pytest.mark.parametrize("activation", ["relu", "gelu", "none"])
def test_both_dialects_give_the_model_written_out(tmp_path: Path, mlp: bool, extras: bool, activation: str) -> None:
    state = random_state(mlp=mlp, extras=extras)
    ids = torch.tensor([3, 1, 4, 1, 5])
    expected = by_hand(state, ids, activation)
    for number, saved in enumerate((state, {"model": output_by_input(state)}, {"state_dict": state})):
        torch.save(saved, tmp_path / f"{number}.pt")
        model = load_research_weights(tmp_path / f"{number}.pt", activation=activation)  # type: ignore[arg-type]
        logits = model.logits(Tokens.from_ids(ids[None]), last=5)[0]
        torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)
        assert (model.d_mlp is None) == (not mlp)


def test_norms_without_weights_are_asked_for(tmp_path: Path) -> None:
    state, ids = random_state(mlp=True, extras=False), torch.tensor([3, 1, 4])
    torch.save(state, tmp_path / "w.pt")
    model = load_research_weights(tmp_path / "w.pt", normalised=True)
    expected = by_hand(state, ids, "relu", normalised=True)
    torch.testing.assert_close(model.logits(Tokens.from_ids(ids[None]), last=3)[0], expected, rtol=1e-4, atol=1e-5)


def test_unusable_files_are_refused_in_words(tmp_path: Path) -> None:
    def refusal(saved: object) -> str:
        torch.save(saved, tmp_path / "w.pt")
        with pytest.raises(InputError) as raised:
            load_research_weights(tmp_path / "w.pt")
        return str(raised.value)

    state = random_state(mlp=True, extras=False)
    assert "no blocks.0.attn.W_O among a" in refusal({"a": torch.ones(1)})
    assert "a file without a state dict" in refusal({"a": 1})
    assert "a file that cannot be read as weights" in refusal(Path("code"))
    odd = refusal({**state, "blocks.0.gate": torch.ones(1), "blocks.1.attn.b_X": torch.ones(1)})
    assert "problem 1 of 2\nfound:    the parameter blocks.0.gate" in odd
    assert "blocks.1.attn.b_X" in odd
    assert "NaN or infinite values in unembed.W_U" in refusal(
        {**state, "unembed.W_U": torch.full((D_MODEL, WORDS), torch.nan)}
    )
    assert "an embedding of 11 tokens and an unembedding of 10" in refusal(
        {**state, "unembed.W_U": torch.ones(D_MODEL, 10)}
    )
    del state["blocks.1.mlp.W_in"]
    assert "layers.1.mlp.input.weight of shape None" in refusal(state)
    with pytest.raises(InputError, match="no file at"):
        load_research_weights(tmp_path / "absent.pt")


def test_the_grokked_model_adds_every_pair() -> None:
    model = load_research_weights(published("grokking_wd_10-1.pth"))
    pairs = torch.cartesian_prod(torch.arange(113), torch.arange(113))
    sums = pairs.sum(dim=1) % 113
    tokens = Tokens.from_ids(torch.cat([pairs, torch.full((len(pairs), 1), 113)], dim=1))
    assert torch.equal(model.logits(tokens)[:, -1].argmax(dim=-1), sums)
    with model.intervene(ZeroAblate(Site("mlp_out", 0), positions=-1)):
        assert (model.logits(tokens)[:, -1].argmax(dim=-1) == sums).float().mean() < 0.1


def test_the_induction_model_repeats_what_it_has_seen() -> None:
    model = load_research_weights(published("induction_head_infinite.pth"))
    generator = torch.Generator().manual_seed(0)
    phrase = torch.randint(0, model.vocabulary_size, (64, 16), generator=generator)
    filler = torch.randint(0, model.vocabulary_size, (64, 20), generator=generator)
    ids = torch.cat([filler[:, :10], phrase, filler[:, 10:], phrase], dim=1)

    def losses() -> Tensor:
        predictions = model.logits(Tokens.from_ids(ids), last=ids.shape[1])[:, :-1].log_softmax(dim=-1)
        return -predictions.gather(-1, ids[:, 1:, None])[..., 0].mean(dim=0)

    first, repeated = losses()[9:25].mean(), losses()[-15:].mean()
    assert repeated < 0.5 * first
    with model.intervene(*(ZeroAblate(site) for site in model.sites("attn_out")[1:])):
        assert losses()[-15:].mean() > 0.9 * first
