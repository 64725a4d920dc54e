"""The command line within this process: what it prints, writes and refuses."""

from __future__ import annotations

import csv
import errno
import io
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad.cli import main
from typegrad.serialization import load, load_checkpoint, save
from typegrad.tabular import TableModel

QUICK = ("--epochs", "2", "--hidden", "4", "--seed", "0")


@pytest.fixture(autouse=True)
def _in_a_fresh_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write_trees(name: str = "trees.csv", rows: int = 60) -> str:
    """A table with numbers, categories and gaps."""
    generator = np.random.default_rng(0)
    lines = ["height;kind;code;price"]
    for row in range(rows):
        height, kind = generator.normal(), generator.choice(["oak", "elm"])
        price = 2.0 * height + (kind == "oak") + generator.normal(scale=0.1)
        cell = "NA" if row % 10 == 0 else f"{height:.3f}"
        lines.append(f"{cell};{kind};{row % 3};{price:.3f}")
    Path(name).write_text("\n".join(lines) + "\n")
    return name


# --- train ----------------------------------------------------------------------------------


def test_train_without_data_uses_concrete(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *QUICK, "--plot", "fit.png"]) == 0
    printed, errors = capsys.readouterr()
    assert errors == ""
    assert "I-Cheng Yeh (1998)" in printed
    assert "CC BY 4.0" in printed
    assert "concrete.csv: 1,030 rows, 9 columns" in printed
    assert re.search(r"^cement +number +0  102 to 540$", printed, re.MULTILINE)
    assert "Predicting 'compressive_strength' from the other columns." in printed
    assert re.search(r"^epoch 2 of 2: training loss \S+, validation loss \S+, validation rmse \S+$",
                     printed, re.MULTILINE)  # fmt: skip
    for row in (r"training +742  network ", r"  linear regression ", r"test +206  network "):
        assert re.search(row, printed)
    assert "RMSE and MAE are in the units of 'compressive_strength'." in printed
    assert printed.endswith("\nmodel    model.safetensors\npicture  fit.png\n")
    assert sorted(file.name for file in Path().iterdir()) == ["fit.png", "model.safetensors"]
    assert Path("fit.png").read_bytes().startswith(b"\x89PNG")
    checkpoint = load_checkpoint("model.safetensors")
    assert checkpoint.history is not None
    assert len(checkpoint.history) == 2


def test_train_on_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    data = write_trees()
    arguments = ["train", data, "--target", "price", *QUICK, "--output", "trees.model"]
    assert main([*arguments, "--category", "code", "--delimiter", ";", "--test", "0"]) == 0
    printed = capsys.readouterr().out
    assert "Yeh" not in printed
    assert re.search(r"^height +number +6 ", printed, re.MULTILINE)
    assert re.search(r"^code +category +0  3 levels: 0, 1, 2$", printed, re.MULTILINE)
    assert "test " not in printed
    model = load("trees.model", TableModel)
    assert model.encoder.category_names == ("kind", "code")


def test_each_option_arrives() -> None:
    data = write_trees()
    options = """
        --ignore code --ignore kind --hidden 6,5 --activation tanh --dropout 0.25 --dtype float64
        --loss quantile --quantiles 0.2,0.8 --optimizer adam --learning-rate 0.5
        --schedule cosine --weight-decay 0.125 --clip-norm 1.5 --epochs 4 --batch-size 20
        --early-stopping 3 --validation 0.5 --test 0.5 --seed 7 --quiet
    """
    assert main(["train", data, "--target", "price", *options.split()]) == 0
    run = load_checkpoint("model.safetensors")
    assert repr(run.network) == (
        "NeuralNetwork(Dense(2, 6), Dropout(0.25), Dense(6, 5), Dropout(0.25), Dense(5, 2), "
        "loss=QuantileLoss(quantiles=(0.2, 0.8), non_crossing=True), dtype=float64)"
    )
    assert run.history is not None
    assert run.history.seed == 7
    assert run.history.best_epoch is not None
    assert isinstance(run.model, TableModel)
    assert run.model.details["rows"] == {"training": 15, "validation": 15, "test": 30}


def test_embeddings_by_the_command_line() -> None:
    data = write_trees()
    assert main(["train", data, "--target", "price", *QUICK, "--categories", "embedding"]) == 0
    assert "ColumnEmbedding" in repr(load("model.safetensors", TableModel).network)


def test_quiet_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *QUICK, "--quiet", "--plot", "fit.svg"]) == 0
    assert capsys.readouterr() == ("", "")
    assert Path("fit.svg").exists()


def test_one_epoch_and_early_stopping(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--epochs", "1", "--early-stopping", "5", "--validation", "0.2"]) == 0
    printed = capsys.readouterr().out
    assert "1 epoch in " in printed
    assert "The weights are those of the best epoch, 1." in printed


def test_overfitting_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    generator = np.random.default_rng(0)
    rows = [f"{a:.3f},{b:.3f}" for a, b in generator.normal(size=(60, 2))]
    Path("noise.csv").write_text("x,y\n" + "\n".join(rows) + "\n")
    command = ["train", "noise.csv", "--target", "y", "--seed", "0", "--weight-decay", "0"]
    assert main([*command, "--epochs", "300"]) == 0
    hint = r"The validation loss was lowest after epoch \d+: [\d.]+, [\d.]+ at the end\.\nWith --e"
    assert re.search(hint, capsys.readouterr().out)
    assert main([*command, "--epochs", "1"]) == 0
    assert main([*command, "--epochs", "300", "--validation", "0"]) == 0
    assert main([*command, "--epochs", "300", "--early-stopping", "20"]) == 0
    assert "lowest" not in capsys.readouterr().out


def test_a_bar_where_there_is_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["train", *QUICK]) == 0
    printed, errors = capsys.readouterr()
    assert "epoch 2 of 2" not in printed
    assert "epoch" in errors


def test_interrupted_training_is_saved(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from typegrad.callbacks import EpochEnd
    from typegrad.cli.train import _ProgressLines

    heard = _ProgressLines.on_epoch_end

    def interrupt(lines: _ProgressLines, event: EpochEnd) -> None:
        heard(lines, event)
        if event.record.epoch == 3:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(_ProgressLines, "on_epoch_end", interrupt)
    assert main(["train", "--epochs", "1000", "--plot", "fit.png"]) == 130
    printed = capsys.readouterr().out
    assert "3 epochs in" in printed
    assert "interrupted" in printed
    history = load_checkpoint("model.safetensors").history
    assert history is not None
    assert (len(history), history.stop_reason) == (3, "interrupted")
    assert Path("fit.png").exists()


def test_interrupted_before_the_first_step(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from typegrad.interrupts import DeferredInterrupt

    entered = DeferredInterrupt.__enter__

    def interrupt(interrupts: DeferredInterrupt) -> DeferredInterrupt:
        entered(interrupts)
        signal.raise_signal(signal.SIGINT)
        return interrupts

    monkeypatch.setattr(DeferredInterrupt, "__enter__", interrupt)
    assert main(["train", "--epochs", "5"]) == 130
    assert capsys.readouterr().err == "typegrad: interrupted; nothing was written\n"
    assert list(Path().iterdir()) == []


# --- predict, evaluate, info ----------------------------------------------------------------


def trained(*arguments: str) -> str:
    data = write_trees()
    assert main(["train", data, "--target", "price", *QUICK, "--quiet", *arguments]) == 0
    return data


def test_predict(capsys: pytest.CaptureFixture[str]) -> None:
    data = trained()
    assert main(["predict", "model.safetensors", data]) == 0
    printed = capsys.readouterr().out
    rows = list(csv.reader(io.StringIO(printed)))
    assert rows[0] == ["price"]
    expected = load("model.safetensors", TableModel).predict(tg.read_table(data))
    np.testing.assert_array_equal(np.array(rows[1:], np.float64), expected)
    assert main(["predict", "model.safetensors", data, "--output", "p.csv"]) == 0
    assert capsys.readouterr().out == ""
    assert Path("p.csv").read_text() == printed
    table = tg.read_table("p.csv")
    np.testing.assert_array_equal(table["price"][:, None], expected)


def test_predict_writes_a_column_for_each_output(capsys: pytest.CaptureFixture[str]) -> None:
    data = trained("--loss", "gaussian")
    assert main(["predict", "model.safetensors", data, "--delimiter", ";"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "price mean,price standard deviation"


def test_predict_needs_no_target_and_reads_categories_as_in_training(
    capsys: pytest.CaptureFixture[str],
) -> None:
    trained("--category", "code")
    Path("new.tsv").write_text("code\tkind\theight\n1\telm\t0.5\n2\tash\t\n")
    assert main(["predict", "model.safetensors", "new.tsv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_evaluate(capsys: pytest.CaptureFixture[str]) -> None:
    data = trained()
    assert main(["evaluate", "model.safetensors", data]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["part", "rows", "predictor", "RMSE", "MAE", "R2"]
    expected = load("model.safetensors", TableModel).evaluate(tg.read_table(data))
    assert lines[1].split()[:3] == ["data", "60", "network"]
    np.testing.assert_allclose(
        [float(cell) for cell in lines[1].split()[3:]], list(expected.values()), rtol=5e-3
    )
    assert lines[2] == "RMSE and MAE are in the units of 'price'."


def test_info(capsys: pytest.CaptureFixture[str]) -> None:
    trained("--early-stopping", "9")
    assert main(["info", "model.safetensors"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"model.safetensors: written by typegrad {tg.__version__}\n")
    assert re.search(r"^0  Dense\(5, 4\) +\(batch, 4\) +24 +20$", printed, re.MULTILINE)
    assert "Predicts 'price' from\nheight: number, gaps become" in printed
    assert "Trained on trees.csv, seed 0:\npart " in printed
    assert re.search(r"^2 epochs in \d+\.\d\d s, weights of epoch \d: finished$",
                     printed, re.MULTILINE)  # fmt: skip


def test_info_of_a_model_from_python(capsys: pytest.CaptureFixture[str]) -> None:
    network = tg.NeuralNetwork(tg.Dense(1, 1), loss=tg.MSELoss())
    save(network, "net")
    assert main(["info", "net"]) == 0
    assert "MSELoss(), float32" in capsys.readouterr().out
    table = tg.Table({"x": [0.0, 1.0], "y": [1.0, 3.0]})
    save(TableModel(network, tg.TableEncoder.fit(table, "y")), "table")
    assert main(["info", "table"]) == 0
    assert "Predicts 'y' from" in capsys.readouterr().out


# --- help -----------------------------------------------------------------------------------


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"typegrad {tg.__version__}\n"
    for arguments in (["--help"], *[[name, "--help"] for name in COMMANDS]):
        assert main(arguments) == 0
        printed = capsys.readouterr().out
        assert printed.startswith("usage: typegrad ")
        assert "None" not in printed
        assert "SUPPRESS" not in printed


COMMANDS = ("train", "predict", "evaluate", "info")


# --- what cannot be done: one line, status 2, no file ---------------------------------------

FILES: dict[str, str | bytes] = {
    "good.csv": "x,y\n" + "".join(f"{i},{i % 7}\n" for i in range(40)),
    "empty.csv": "",
    "header.csv": "x,y\n",
    "one.csv": "x,y\n1,2\n",
    "constant.csv": "x,y\n1,2\n2,2\n3,2\n4,2\n5,2\n",
    "missing.csv": "x,y\n,2\n,3\n,4\n,6\n,7\n",
    "text.csv": "x,y\n" + "".join(f"{i},{i}\n" for i in range(11)) + "7,oops\n",
    "words.csv": "x,y\n1,red\n2,blue\n3,red\n",
    "gap.csv": "x,y\n1,2\n2,\n3,4\n4,5\n5,6\n",
    "ragged.csv": "x,y\n1,2\n3\n",
    "latin.csv": b"x,y\n1,\xe9\n",
    "data.xlsx": "x",
    "model.txt": "this is no model, but a text that is long enough",
}

WRONG: dict[str, tuple[str, str]] = {
    "no command": ("", r"the following arguments are required: COMMAND \(see typegrad --help\)"),
    "unknown command": ("fit", "argument COMMAND: invalid choice: 'fit'"),
    "unknown option": ("train --speed 3", "unrecognized arguments: --speed "),
    "no target": (
        "train good.csv",
        r"good.csv: say which column to predict: --target NAME, one of x, y$",
    ),
    "wrong column": (
        "train good.csv --target Y",
        r"good.csv: no column 'Y' \(did you mean 'y'\?\); the columns are x, y$",
    ),
    "wrong ignored column": ("train good.csv --target y --ignore z", "good.csv: no column 'z'"),
    "wrong category": ("train good.csv --target y --category z", "good.csv: no column 'z'"),
    "ignored target": ("train good.csv --target y --ignore y", "--ignore y leaves out the target"),
    "nothing left": (
        "train good.csv --target y --ignore x",
        "good.csv: the table has no column beside the target 'y'",
    ),
    "empty": ("train empty.csv --target y", "empty.csv is empty"),
    "header alone": ("train header.csv --target y", "header.csv has a header but no rows"),
    "one row": (
        "train one.csv --target y",
        "one.csv: the table has 1 row; training needs at least 2",
    ),
    "constant target": (
        "train constant.csv --target y",
        "constant.csv: the target 'y' is 2 in all 5 rows; there is nothing to learn",
    ),
    "column without values": (
        "train missing.csv --target y",
        "missing.csv: column 'x' has no value in any row; leave it out",
    ),
    "text among numbers": (
        "train text.csv --target x",
        "text.csv: row 13, column 'y': 'oops' is not a number, but 11 of the column's 12 cells are",
    ),
    "text for a target": (
        "train words.csv --target y",
        "words.csv: row 2, column 'y': the target is text, 'red'; regression predicts numbers",
    ),
    "target with gaps": (
        "train gap.csv --target y",
        "gap.csv: row 3, column 'y': the target is missing here, in 1 of 5 rows altogether",
    ),
    "ragged": ("train ragged.csv --target y", "ragged.csv: row 3 has 1 fields; expected 2"),
    "not UTF-8": ("train latin.csv --target y", "latin.csv: row 2 is not UTF-8 text"),
    "unknown suffix": ("train data.xlsx --target y", "data.xlsx has the unknown suffix '.xlsx'"),
    "no file": ("train none.csv --target y", "none.csv: there is no such file"),
    "directory": ("train sub.csv --target y", "sub.csv is a directory; give a file"),
    "delimiter": ("train good.csv --target y --delimiter ab", "delimiter 'ab' cannot part fields"),
    "delimiter without data": ("train --delimiter ,", "--delimiter is for a file of data"),
    "category without data": ("train --category age", "--category is for a file of data"),
    "activation": ("train --activation sine", "argument --activation: invalid choice: 'sine'"),
    "loss": ("train --loss rmse", "argument --loss: invalid choice: 'rmse'"),
    "optimizer": ("train --optimizer newton", "argument --optimizer: invalid choice: 'newton'"),
    "schedule": ("train --schedule steps", "argument --schedule: invalid choice: 'steps'"),
    "widths": ("train --hidden 64,x", "argument --hidden: 'x' is not a whole number of 1 or more"),
    "no width": ("train --hidden 0", "argument --hidden: '0' is not a whole number of 1 or more"),
    "epochs": ("train --epochs 1.5", "argument --epochs: '1.5' is not a whole number of 1 or more"),
    "rate": ("train --learning-rate 0", "argument --learning-rate: '0' is not a positive number"),
    "NaN": ("train --learning-rate nan", "'nan' is not a positive number"),
    "decay": ("train --weight-decay=-1", "argument --weight-decay: '-1' is not a number, not neg"),
    "seed": ("train --seed=-1", "argument --seed: '-1' is not a whole number, not negative"),
    "share": ("train --test 1", "argument --test: '1' is not a share, from 0 to below 1"),
    "quantiles": ("train --quantiles 0.1,0.9", "--quantiles is for --loss quantile, not mse"),
    "quantiles in disorder": (
        "train --loss quantile --quantiles 0.9,0.1",
        r"--quantiles: QuantileLoss: quantiles are \(0.9, 0.1\); expected .* in ascending order",
    ),
    "decay of L-BFGS": (
        "train --optimizer lbfgs --weight-decay 0.1",
        "--optimizer lbfgs: optimizer 'lbfgs' has no weight_decay",
    ),
    "stopping": (
        "train --early-stopping 5 --validation 0",
        "--early-stopping needs validation rows, but --validation is 0",
    ),
    "no output directory": (
        "train --output none/m",
        "none/m cannot be written: there is no directory none",
    ),
    "output is a directory": ("train --output sub.csv", "sub.csv is a directory; give the name"),
    "no plot directory": ("train --plot none/fit.png", "none/fit.png cannot be written: there is"),
    "plot format": ("train --plot fit.doc", "fit.doc: pictures are written as "),
    "output over data": (
        "train good.csv --target y --output good.csv",
        "good.csv is given twice; it would be overwritten",
    ),
    "output over plot": ("train --output a.png --plot ./a.png", "a.png is given twice"),
    "too large": ("train --hidden 999999999999", "there is not enough memory: Unable to"),
    "diverges": ("train --learning-rate 1e30", "Lower the learning rate"),
    "negative counts": (
        "train negative.csv --target y --loss poisson",
        "expected counts or rates",
    ),
    "predict without data": ("predict m", "the following arguments are required: DATA"),
    "no model": ("predict none good.csv", "none: there is no such file"),
    "text for a model": ("predict model.txt good.csv", "model.txt is not a safetensors file"),
    "info of a table": ("info good.csv", "good.csv is not a safetensors file, or is damaged"),
    "network alone": ("predict network good.csv", "network holds a network that was not trained"),
    "evaluate network alone": ("evaluate network good.csv", "network holds a network that"),
    "other columns": (
        "predict model words.csv",
        r"words.csv: no column 'a'; the columns are x, y; it was there when the encoder",
    ),
    "other types": (
        "predict model types.csv",
        "types.csv: row 2, column 'a': 'red' is text, but the column had numbers",
    ),
    "evaluate without target": ("evaluate model a.csv", "a.csv: the target: no column 'y'"),
    "predict over data": ("predict model a.csv --output a.csv", "a.csv is given twice"),
    "predict over model": ("predict model a.csv --output model", "model is given twice"),
    "predict to nowhere": ("predict model a.csv --output no/p.csv", "there is no directory no"),
}


@pytest.mark.parametrize("name", WRONG)
def test_one_line_says_what_is_wrong(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, message = WRONG[name]
    for file, content in FILES.items():
        Path(file).write_bytes(content if isinstance(content, bytes) else content.encode())
    Path("negative.csv").write_text("x,y\n" + "".join(f"{i},{3 - i}\n" for i in range(40)))
    Path("types.csv").write_text("a\nred\nblue\n")
    Path("a.csv").write_text("a\n1\n2\n")
    Path("sub.csv").mkdir()
    network = tg.NeuralNetwork(tg.Dense(1, 1), loss=tg.MSELoss())
    save(network, "network")
    table = tg.Table({"a": [0.0, 1.0], "y": [1.0, 3.0]})
    save(TableModel(network, tg.TableEncoder.fit(table, "y")), "model")
    before = {file: file.read_bytes() for file in Path().iterdir() if file.is_file()}
    assert main(arguments.split()) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("typegrad: ")
    assert errors.count("\n") == 1
    assert re.search(message, errors)
    assert {file: file.read_bytes() for file in Path().iterdir() if file.is_file()} == before


def test_missing_extras_are_told_before_training(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "matplotlib.figure", raising=False)
    assert main(["train", "--plot", "fit.png"]) == 2
    printed, errors = capsys.readouterr()
    assert printed == ""
    assert errors == (
        "typegrad: Plotting needs matplotlib, which is not installed: "
        "run `pip install 'typegrad[plot]'`\n"
    )
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.delitem(sys.modules, "safetensors.numpy", raising=False)
    assert main(["train"]) == 2
    assert "Saving a model needs safetensors" in capsys.readouterr().err


def test_a_full_disk(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert main(["train", *QUICK]) == 2
    errors = capsys.readouterr().err
    assert errors == "typegrad: model.safetensors cannot be written: No space left on device\n"
    assert list(Path().iterdir()) == []


def test_streams_of_a_callers_own(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    assert main(["train", *QUICK]) == 0
    assert "compressive_strength" in out.getvalue()
    assert main(["train", "--hidden", "x"]) == 2
    assert err.getvalue().count("\n") == 1


def test_a_reader_that_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert main(["train", *QUICK]) == 0
    assert isinstance(load("model.safetensors"), TableModel)


def test_a_terminal_that_lacks_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    stream: Any = io.TextIOWrapper(raw, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    Path("data.csv").write_text("größe,y\n" + "".join(f"{i},{i % 5}\n" for i in range(30)))
    assert main(["train", "data.csv", "--target", "y", *QUICK]) == 0
    assert rb"gr\xf6\xdfe" in raw.getvalue()
