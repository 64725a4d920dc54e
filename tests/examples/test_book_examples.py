"""The book's printed numbers, from the examples."""

from __future__ import annotations

import numpy as np
import pytest

import typegrad as tg
from examples.book import book_mode, boston, chapter2, chapter3, many_inputs, nested_functions
from typegrad.initializers import Zeros
from typegrad.types import Array


@pytest.mark.parametrize("names", nested_functions.CHAINS)
def test_chain_rule_agrees_with_central_differences(names: tuple[str, ...]) -> None:
    chain = nested_functions.chain_of(names)
    points = nested_functions.away_from_kink(nested_functions.POINTS)
    assert len(points) == len(nested_functions.POINTS) - 1
    np.testing.assert_allclose(
        nested_functions.derivative(chain, points),
        nested_functions.numerical(chain, points),
        atol=1e-6,
    )


def test_a_chain_can_have_any_length() -> None:
    chain = nested_functions.chain_of(("square", "sigmoid", "leaky ReLU") * 5)
    x = np.array([-1.5, -0.3, 0.7, 2.0])
    np.testing.assert_allclose(
        nested_functions.derivative(chain, x), nested_functions.numerical(chain, x), atol=1e-6
    )


@pytest.mark.parametrize("combine", [tg.Add(), tg.Multiply()])
def test_two_inputs(combine: tg.BinaryOperation) -> None:
    x, y = np.array([-1.0, 0.5, 2.0]), np.array([2.0, 0.5, -1.5])
    result = many_inputs.sigmoid_of(combine, x, y)

    def value(x: Array, y: Array) -> Array:
        return many_inputs.sigmoid_of(combine, x, y).value

    by_x = tg.numerical_derivative(lambda x: value(x, y), x, 1e-5)
    by_y = tg.numerical_derivative(lambda y: value(x, y), y, 1e-5)
    np.testing.assert_allclose(result.left_grad, by_x, rtol=1e-8)
    np.testing.assert_allclose(result.right_grad, by_y, rtol=1e-8)


def test_row_times_column() -> None:
    x, w = many_inputs.row_and_column()
    result = many_inputs.sigmoid_of(tg.MatMul(), x, w)
    np.testing.assert_array_equal(x.round(4), [[0.4723, 0.6151, -1.7262]])
    np.testing.assert_array_equal(result.left_grad.round(4), [[0.0852, -0.0557, -0.1121]])
    raised = many_inputs.sigmoid_of(tg.MatMul(), many_inputs.shifted(x, (0, 2), 0.01), w)
    assert (raised.value - result.value).item() == pytest.approx(-0.001121, abs=1e-5)


def test_sum_of_sigmoids_of_a_matrix_product() -> None:
    x, w = many_inputs.matrices()
    result = many_inputs.summed_sigmoid(x, w)
    np.testing.assert_array_equal(
        x.round(4),
        [[-1.5775, -0.6664, 0.6391], [-0.5615, 0.7373, -1.4231], [-1.4435, -0.3913, 0.1539]],
    )
    assert f"{result.value:.4f}" == "2.3755"
    np.testing.assert_array_equal(
        result.left_grad.round(4),
        [[0.2489, -0.3748, 0.0112], [0.126, -0.2781, -0.1395], [0.2299, -0.3662, -0.0225]],
    )
    assert f"{many_inputs.slope_in_first_element(x, w):.4f}" == "0.2489"
    np.testing.assert_allclose(
        result.right_grad, many_inputs.weight_gradient_by_rule(x, w), rtol=1e-8
    )


def test_autodiff_agrees_with_the_backward_passes() -> None:
    x, w = many_inputs.matrices()
    result = many_inputs.summed_sigmoid(x, w)
    by_x, by_w = many_inputs.gradients_by_autodiff(x, w)
    np.testing.assert_allclose(by_x, result.left_grad, rtol=1e-13)
    np.testing.assert_allclose(by_w, result.right_grad, rtol=1e-13)


@pytest.mark.parametrize("name", ["two_inputs", "row_times_column", "loss"])
def test_diagrams_show_gradients_where_asked(name: str) -> None:
    diagrams = many_inputs.diagrams()
    forward, backward = diagrams[f"{name}_forward"].svg, diagrams[f"{name}_backward"].svg
    assert "v2 = Sigmoid" in forward
    assert ">dx " not in forward
    assert "v2 = Sigmoid" in backward
    assert ">dx " in backward


def test_a_mismatch_names_both_shapes() -> None:
    assert many_inputs.mismatch() == (
        "MatMul(): left has shape (1, 3) and right has shape (2, 4); "
        "the last axis of left (3) must equal the last but one of right (2)"
    )


def test_boston_is_split_as_in_the_book() -> None:
    data = boston.load()
    assert data.x_train.shape == (354, 13)
    assert data.y_test.shape == (152, 1)
    rows = np.concatenate([data.x_train, data.x_test])
    np.testing.assert_allclose(rows.mean(axis=0), 0.0, atol=1e-13)
    np.testing.assert_allclose(rows.std(axis=0), 1.0)


def printed(score: boston.Score, digits: int) -> tuple[str, str]:
    return f"{score.mae:.{digits}f}", f"{score.rmse:.{digits}f}"


def test_linear_regression_in_closed_form() -> None:
    data = boston.load()
    assert printed(boston.score(boston.closed_form(data), data), 4) == ("3.5671", "5.0476")


def test_chapter_2_linear_regression() -> None:
    data = boston.load()
    network = chapter2.trained_linear_network(data)
    assert printed(boston.score(network, data), 4) == ("3.5644", "5.0497")


def test_chapter_2_network() -> None:
    data = boston.load()
    network = chapter2.trained_hidden_network(data)
    assert printed(boston.score(network, data), 4) == ("2.5951", "3.8851")


@pytest.mark.parametrize(
    ("name", "losses", "errors"),
    [
        ("linear", "30.293 28.469 26.293 25.541 25.087", ("3.52", "5.01")),
        ("network", "27.435 21.839 18.918 17.195 16.215", ("2.60", "4.03")),
        ("deep network", "44.143 25.278 22.339 16.500 14.655", ("2.45", "3.83")),
    ],
)
def test_chapter_3(name: str, losses: str, errors: tuple[str, str]) -> None:
    result = chapter3.train(chapter3.NETWORKS[name], boston.load())
    assert " ".join(f"{loss:.3f}" for loss in result.validation_losses) == losses
    assert printed(result.score, 2) == errors


def test_the_library_sums_a_bias_gradient_over_rows_alone() -> None:
    """The quirk of chapter 2 is the example's, not the library's."""
    x, grad = np.ones((2, 3)), np.array([[1.0, 2.0], [3.0, 4.0]])
    weight, bias = np.ones((3, 2)), np.zeros(2)
    arguments = (grad, x, x @ weight + bias, weight, bias)
    parameters = tg.Parameter((3, 2), Zeros()), tg.Parameter((2,), Zeros())
    np.testing.assert_array_equal(tg.Linear(*parameters).parameter_grads(*arguments)[1], [4, 6])
    shared = book_mode.SharedBiasLinear(*parameters).parameter_grads(*arguments)
    np.testing.assert_array_equal(shared[1], [10, 10])
