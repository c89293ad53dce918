"""What a landscape refuses, and that a module in one vector is the module."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from heldout.errors import InputError
from heldout.techniques.learning_coefficient import FlatParameters, Landscape, module_landscape


def squares(parameters: Tensor) -> Tensor:
    return parameters.square().sum()


def two_layers(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()


INPUTS = torch.linspace(-1.0, 1.0, 15, dtype=torch.float64).reshape(5, 3)


@pytest.mark.parametrize("together", [True, False])
def test_losses_and_gradients_are_those_of_the_module_with_other_weights(together: bool) -> None:
    module, other = two_layers(0), two_layers(1)
    landscape = module_landscape(module, lambda call: call(INPUTS).square().mean(), together=together)
    point = FlatParameters.of(other).flat(other)
    losses, gradients = landscape.losses_and_gradients(torch.stack([landscape.point, point]))
    for loss, gradient, each in zip(losses, gradients, (module, other), strict=True):
        direct = each(INPUTS).square().mean()
        expected = torch.cat([g.flatten() for g in torch.autograd.grad(direct, tuple(each.parameters()))])
        assert torch.allclose(loss, direct.detach())
        assert torch.allclose(gradient, expected)


def test_the_module_is_left_as_it_was() -> None:
    module = two_layers().requires_grad_(False)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    landscape = module_landscape(module, lambda call: call(INPUTS).square().mean())
    landscape.losses_and_gradients(landscape.point.repeat(3, 1) + 1.0)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in module.parameters())


def test_chosen_parameters_move_and_the_others_stay() -> None:
    module = two_layers()
    landscape = module_landscape(module, lambda call: call(INPUTS).square().mean(), parameters=["2"])
    assert len(landscape) == 4 * 2 + 2
    assert landscape.loss_at_point == pytest.approx(module(INPUTS).square().mean().item())
    silent = landscape.loss(torch.zeros(10, dtype=torch.float64))
    assert silent.item() == 0.0


def test_tied_parameters_stand_in_the_vector_once() -> None:
    module = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    module[1].weight = module[0].weight
    assert len(FlatParameters.of(module).flat(module)) == 9
    landscape = module_landscape(module, lambda call: call(torch.eye(3)).sum())
    twice = torch.full((9,), 2.0)
    assert float(landscape.loss(twice)) == pytest.approx(
        float((torch.full((3, 3), 2.0) @ torch.full((3, 3), 2.0)).sum())
    )


def test_a_parameter_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match="no parameter called 3") as raised:
        module_landscape(two_layers(), lambda call: call(INPUTS).sum(), parameters=["2", "3"])
    assert raised.value.problems[0].expected == "names such as 0.weight, 0.bias, 2.weight"


@pytest.mark.parametrize(
    "point",
    [torch.zeros(2, 2), torch.zeros(3, dtype=torch.long), torch.tensor([1.0, torch.nan]), torch.zeros(3).half()],
)
def test_a_point_that_is_no_vector_of_finite_numbers_is_refused(point: Tensor) -> None:
    with pytest.raises(InputError, match="expected: a vector of finite numbers in float32 or float64"):
        Landscape(squares, point)


def test_a_loss_that_is_no_number_is_refused() -> None:
    with pytest.raises(InputError, match="expected: one finite number"):
        Landscape(lambda w: w.square(), torch.zeros(3))
    with pytest.raises(InputError, match="expected: one finite number"):
        Landscape(lambda w: squares(w).log(), torch.zeros(3))
    with pytest.raises(InputError, match="a loss without gradient"):
        Landscape(lambda w: squares(w.detach()), torch.zeros(3))


def test_a_loss_of_random_batches_is_refused_even_where_every_batch_fits_perfectly() -> None:
    """Metropolis' correction would be wrong."""
    data = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))

    def batch(parameters: Tensor) -> Tensor:
        return (data[torch.randint(50, (5,))] @ parameters).square().mean()

    with pytest.raises(InputError, match="turn dropout off"):
        Landscape(batch, torch.zeros(3))
