"""The printed numbers of the calculus sources, from the examples."""

from __future__ import annotations

import math

import numpy as np
import pytest

from examples.calculus import derivatives, gradient_descent


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("x^2", "5.9999999902"),
        ("x^3", "11.9999999937"),
        ("e^x", "2.7182818285"),
        ("ln x", "0.4999999997"),
    ],
)
def test_central_differences(text: str, printed: str) -> None:
    (example,) = [example for example in derivatives.EXAMPLES if example.text == text]
    assert f"{example.derivative():.10f}" == printed


def test_product_of_a_power_and_an_exponential() -> None:
    assert derivatives.EXAMPLES[-1].text == "x^2 e^x"
    assert derivatives.EXAMPLES[-1].derivative() == pytest.approx(3 * math.e, abs=1e-8)


def test_derivative_of_the_sigmoid() -> None:
    np.testing.assert_array_equal(
        derivatives.sigmoid_derivative(np.array([-2.0, -1.0, 0.0, 1.0, 2.0])).round(8),
        [0.10499359, 0.19661193, 0.25, 0.19661193, 0.10499359],
    )


def test_partial_derivatives() -> None:
    assert derivatives.partial_derivatives(2.0, 3.0) == pytest.approx((12, 22), abs=1e-6)


def test_gradient_of_the_mean_squared_error() -> None:
    np.testing.assert_array_equal(
        gradient_descent.gradient_at_zero().round(8), [-2.91901361, -4.72563395]
    )


def test_gradient_descent() -> None:
    fit = gradient_descent.fit_line(*gradient_descent.noisy_line(), 0.001)
    printed = [f"{value:.4f}" for value in (fit.bias, fit.slope, fit.losses[0], fit.losses[-1])]
    assert printed == ["0.6962", "3.1745", "336.6350", "4.0808"]
    assert len(fit.losses) == 200


def test_a_larger_learning_rate_gets_further_in_as_many_steps() -> None:
    line = gradient_descent.noisy_line()
    last = [gradient_descent.fit_line(*line, rate).losses[-1] for rate in gradient_descent.RATES]
    assert list(gradient_descent.RATES) == [0.00001, 0.001, 0.01]
    assert last[0] > 250 > last[1] > last[2]


def test_backpropagation_by_hand() -> None:
    result = gradient_descent.backpropagate(w=1.0, x=2.0, b=1.0, y=7.0)
    assert (result.loss, result.by_weight, result.by_bias) == (16, -16, -8)
