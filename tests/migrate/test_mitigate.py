"""Mitigation: rules of fairlearn as torch modules that decide the same, and refusals of what draws lots."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from fairlearn.metrics import demographic_parity_difference

from workbench import catalog
from workbench.data import open_data
from workbench.evidence import Chart, Finding, Status, Table, Text
from workbench.migrate import mitigate
from workbench.migrate.lift import lift
from workbench.migrate.lift.group_thresholds import GroupThresholds
from workbench.migrate.lift.ops import Op, Outputs, from_plain, to_plain
from workbench.migrate.mitigation.groups import REST, groups_of
from workbench.migrate.mitigation.thresholds import nearest
from workbench.migration import Roles, Task
from workbench.models import ModelError, open_model

TASK = Task(kind="binary", target="y", positive="yes", threshold=0.4)


class First(Op):
    """The first number is the score."""

    name = "test-first-is-the-score"

    def forward(self, x: torch.Tensor, codes: torch.Tensor) -> Outputs:
        return {"scores": torch.stack([1 - x[:, 0], x[:, 0]], dim=1)}


def _op(banded: bool, positive: int = 1) -> GroupThresholds:
    config = {"threshold": 0.3, "positive": positive, "numbers": 1, "codes": 0, "banded": banded}
    own = np.array([0.2, 0.7, 0.3]) if banded else np.array([0.3, 0.3, 0.3, 0.2, 0.7])
    return GroupThresholds(config, {"thresholds": own, "edges": np.array([40.0])}, [First()])


@pytest.mark.parametrize("banded", [False, True])
def test_each_group_is_decided_by_its_own_threshold_to_the_last_bit(banded: bool) -> None:
    edges = np.array([0.2, 0.3, 0.7, 0.0, 1.0])
    near = np.concatenate([edges, np.nextafter(edges, 0), np.nextafter(edges, 1), np.random.default_rng(0).random(500)])
    score = np.tile(near, 3)
    group = np.repeat([0, 1, 2], len(near))
    own = np.array([0.2, 0.7, 0.3])[group]
    numbers = np.column_stack([score, np.array([25.0, 60.0, np.nan])[group]]) if banded else score[:, None]
    codes = np.zeros((len(score), 0), int) if banded else np.array([0, 1, -1])[group][:, None]
    made = _op(banded)
    again = from_plain(to_plain(made, arrays := {}), arrays)
    for op in (made, again):
        moved = op(torch.from_numpy(numbers), torch.from_numpy(codes))["scores"][:, 1].numpy()
        assert ((moved >= 0.3) == (score >= own)).all()
        assert ((moved >= 0) & (moved <= 1)).all()
        for one in range(3):
            inside = np.argsort(score[group == one])
            assert (np.diff(moved[group == one][inside]) >= 0).all()
    unmoved = (group == 2) & (score > 1e-300)
    assert moved[unmoved] == pytest.approx(score[unmoved], abs=1e-15)
    blank = made(torch.full((2, 2), torch.nan, dtype=torch.float64), torch.full((2, 1), -1))["scores"]
    assert blank.isnan().all()


def test_the_nearest_threshold_is_as_near_as_any() -> None:
    rng = np.random.default_rng(3)
    for ties in (2, 50):
        scores = rng.integers(0, ties, 200) / ties
        for share in (0.0, 0.13, 0.5, 0.98, 1.0):
            best = min(abs((scores >= cut).mean() - share) for cut in np.linspace(0, 1, 4001))
            assert abs((scores >= nearest(scores, share)).mean() - share) <= best + 1e-12


def test_groups_are_few_named_and_never_persons() -> None:
    frame = pd.DataFrame({"sex": ["f"] * 60 + ["m"] * 60 + ["x"] * 3 + [None] * 2, "age": np.linspace(18, 90, 125)})
    groups = groups_of(frame, "sex", ())
    assert groups.labels == ("f", "m", REST)
    assert groups.named(frame)[[0, 60, 121, 124]].tolist() == ["f", "m", REST, REST]
    bands = groups_of(frame.assign(age=frame.age.mask(frame.age > 80)), "age", (65, 25))
    assert bands.labels == ("under 25", "25 to under 65", "65 and over", REST)
    assert bands.codes(pd.DataFrame({"age": [24.9, 25.0, 64.9, 65.0, np.nan]})).tolist() == [0, 1, 1, 2, 3]
    for attribute, problem in (("age", "edges"), ("no", "no column 'no'")):
        with pytest.raises(ModelError, match=problem):
            groups_of(frame, attribute, ())


def test_it_is_no_part_of_the_journey_and_runs_by_its_name() -> None:
    assert "mitigate" not in [entry.name for entry in catalog.discover()]
    assert catalog.entry("mitigate").kind == "mover"
    assert catalog.find("mitigate/front").title == "What evenness costs"


def test_without_what_it_needs_it_says_what() -> None:
    roles = Roles(protected=("sex",))
    [found] = mitigate.run(None, None, TASK, roles, Path(), mitigate.Params())
    assert (found.status, found.reason) == (Status.ABSENT, "there is no candidate: run 42_replatform first")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unfair candidate as 42_replatform writes it, and training rows."""
    import joblib
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    folder, rng = tmp_path_factory.mktemp("mitigated"), np.random.default_rng(0)
    frame = pd.DataFrame({"sex": rng.choice(["f", "m"], 3000), "income": rng.normal(size=3000)})
    frame["place"] = np.where(rng.random(3000) < 0.8, frame.sex == "f", frame.sex == "m").astype(int)
    chance = 1 / (1 + np.exp(-(1.5 * frame.income + 1.2 * (frame.sex == "m"))))
    frame["y"] = np.where(rng.random(3000) < chance, "yes", "no")
    read = make_column_transformer((StandardScaler(), ["income", "place"]), (OneHotEncoder(), ["sex"]))
    # Fitted with the truth in its table, as many are: it then lists the truth among its columns.
    model = make_pipeline(read, LogisticRegression()).fit(frame, frame.y)
    joblib.dump(model, folder / "legacy.joblib")
    frame.to_parquet(folder / "train.parquet")
    opened = open_model(str(folder / "legacy.joblib"))
    lift(opened).save(folder / "models" / "key" / "candidate.pt2")
    opened.close()
    return folder


def _run(world: Path, **params: object) -> dict[str, Finding]:
    home = world / "models" / "key"
    candidate, train = open_model(str(home / "candidate.pt2")), open_data("train.parquet", world)
    roles, chosen = Roles(protected=("sex",)), mitigate.Params.model_validate(params)
    return {one.id: one for one in mitigate.run(candidate, train, TASK, roles, home, chosen)}


def _front(found: dict[str, Finding]) -> pd.DataFrame:
    [chart, table] = found["mitigate/front"].details
    assert isinstance(chart, Chart)
    assert isinstance(table, Table)
    return pd.DataFrame(list(table.rows), columns=list(table.columns)).set_index("strength")


def _made(world: Path, found: dict[str, Finding]) -> tuple[str, Path]:
    texts = [one for one in found["mitigate/candidate"].details if isinstance(one, Text)]
    return texts[0].text, world / texts[1].text.split("uri: ")[1]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["threshold", "decorrelation", "reduction", "adversarial"])
def test_a_mitigated_candidate_is_what_the_front_promised(world: Path, method: str) -> None:
    found = _run(world, method=method, strength=0.5 if method == "decorrelation" else 1.0)
    front = _front(found)
    gaps = front["gap of demographic parity"]
    assert gaps.iloc[-1] < gaps.iloc[0] * (0.9 if method == "adversarial" else 0.5)
    assert front.accuracy.iloc[-1] > 0.6
    asks, path = _made(world, found)
    assert ("It asks for sex" in asks) == (method in ("threshold", "decorrelation"))
    frame = pd.read_parquet(world / "train.parquet")
    outputs = open_model(str(path)).predict(frame)
    held = np.random.default_rng(0).random(len(frame)) < mitigate.HELD_OUT
    said = (outputs.scores[:, 1] >= 0.4) if outputs.scores is not None else outputs.labels == "yes"
    truth = (frame.y == "yes").to_numpy()
    strength = 0.5 if method == "decorrelation" else 1.0
    expected = demographic_parity_difference(truth[held], said[held], sensitive_features=frame.sex[held])
    assert front.loc[strength, "gap of demographic parity"] == pytest.approx(expected, abs=1e-12)
    assert front.loc[strength, "accuracy"] == pytest.approx((said == truth)[held].mean(), abs=1e-12)


@pytest.mark.slow
def test_a_rule_that_draws_lots_is_refused(world: Path) -> None:
    found = _run(world, constraint="equalized_odds")
    assert "lots" in found["mitigate/refused"].reason
    assert "true_positive_rate" in found["mitigate/refused"].reason
    even = _front(_run(world, constraint="true_positive_rate_parity"))
    assert even["gap of true positive rate parity"].iloc[-1] < 0.08
