"""Who takes part. The first one is what the others are compared with."""

from __future__ import annotations

from training.contestant import Entry

ROSTER = (
    Entry("typegrad eager", "training.with_typegrad", "TypegradEager", "numpy"),
    Entry("typegrad planned", "training.with_typegrad", "TypegradPlanned", "numpy"),
    Entry("typegrad compiled", "training.with_typegrad", "TypegradCompiled", "llvmlite"),
    Entry("PyTorch, fused optimizer", "training.with_pytorch", "PyTorchFused", "torch"),
    Entry("PyTorch, foreach optimizer", "training.with_pytorch", "PyTorchForeach", "torch"),
    Entry(
        "PyTorch, torch.compile",
        "training.with_torch_compile",
        "TorchCompile",
        "torch",
        slow_start=True,
    ),
    Entry("JAX, jit per step", "training.with_jax", "JaxStep", "jax"),
    Entry("JAX, epoch in lax.scan", "training.with_jax", "JaxScan", "jax"),
    Entry(
        "scikit-learn, partial_fit per step",
        "training.with_scikit_learn",
        "ScikitLearnStep",
        "scikit-learn",
    ),
    Entry(
        "scikit-learn, partial_fit per epoch",
        "training.with_scikit_learn",
        "ScikitLearnEpoch",
        "scikit-learn",
    ),
    Entry("Keras, fit on JAX", "training.with_keras", "KerasFit", "keras", slow_start=True),
    Entry("MyGrad", "training.with_mygrad", "MyGrad", "mygrad"),
)
