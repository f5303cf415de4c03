"""What is proposed, and why, from real files and from small ones made to mislead."""

from __future__ import annotations

import shutil
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import pytest

from workbench.data import DataError
from workbench.demo import FILES, MODEL, PERSONAL
from workbench.evidence import Limit
from workbench.migration import MigrationError, check, open_migration
from workbench.models import ModelError
from workbench.proposal import Proposal, ProposalError, propose
from workbench.proposal.names import AGE, PROTECTED, says, words
from workbench.proposal.sources import relative, sort_files


def reason(proposal: Proposal, key: str) -> str:
    [value] = [value for value in proposal.values if value.key == key]
    return value.why


def confidence(proposal: Proposal, key: str) -> str:
    [value] = [value for value in proposal.values if value.key == key]
    return value.confidence


@pytest.fixture(scope="module")
def loans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table whose first and last columns are not the target, and a LightGBM model that numbers its classes."""
    folder = tmp_path_factory.mktemp("loans")
    random = np.random.default_rng(0)
    n = 1200
    frame = pd.DataFrame({"income": random.normal(50, 10, n).round(2), "debt": random.normal(20, 5, n).round(2)})
    good = frame["income"] - frame["debt"] + random.normal(0, 4, n) > 25
    trained = lightgbm.Dataset(frame, good.astype(int))
    params = {"objective": "binary", "verbosity": -1, "num_threads": 1, "seed": 0}
    lightgbm.train(params, trained, 20).save_model(folder / "model.txt")
    frame.insert(0, "Unnamed: 0", range(n))
    frame.insert(1, "customer_id", [f"C{number:05d}" for number in random.permutation(n)])
    frame.insert(2, "loan_status", np.where(good, "good", "bad"))
    frame["prediction"] = good.astype(int)
    frame["sex"] = random.choice(["f", "m"], n)
    frame["age"] = random.integers(18, 90, n)
    frame["email"] = [f"person{number}@example.com" for number in range(n)]
    frame["mileage"] = random.integers(0, 9, n)
    frame["applied_on"] = pd.date_range("2024-01-01", periods=n, freq="h").strftime("%Y-%m-%d")
    frame["birth_date"] = pd.date_range("1950-01-01", periods=n, freq="10D").strftime("%Y-%m-%d")
    frame.to_csv(folder / "loans.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def proposal(loans: Path) -> Proposal:
    return propose("loans", str(loans / "loans.csv"), str(loans / "model.txt"), folder=loans / "move")


def test_names_are_read_word_by_word() -> None:
    assert words("customerEMail-Address2") == ("customer", "e", "mail", "address")
    assert says("ageGroup", AGE)
    assert says("AGE", AGE)
    assert not any(says(name, PROTECTED) for name in ("mileage", "stage", "usage", "grace", "sexton", "trace"))
    assert all(
        says(name, PROTECTED) for name in ("marital-status", "foreign_worker", "Gender", "age_cat", "raceEthnicity")
    )


def test_the_target_is_told_by_several_signs(proposal: Proposal) -> None:
    assert proposal.migration.task.target == "loan_status"
    why = reason(proposal, "task.target")
    assert "by its name" in why
    assert "the model does not read it" in why
    assert "AUC 0." in why


def test_numbered_classes_get_their_names_in_the_order_that_agrees(proposal: Proposal, loans: Path) -> None:
    assert proposal.migration.legacy.options == {"classes": ["bad", "good"]}
    assert confidence(proposal, "legacy.options.classes") == "low"
    frame = pd.read_csv(loans / "loans.csv")
    frame["loan_status"] = frame["loan_status"].map({"good": "A", "bad": "B"})
    frame.to_csv(loans / "letters.csv", index=False)
    other = propose("loans", str(loans / "letters.csv"), str(loans / "model.txt"), folder=loans / "other")
    assert other.migration.legacy.options == {"classes": ["B", "A"]}
    assert other.migration.task.positive == "B"
    assert confidence(other, "task.positive") == "low"


def test_the_positive_class_says_what_it_rests_on(proposal: Proposal, loans: Path) -> None:
    assert proposal.migration.task.positive == "bad"
    assert "write that instead" in reason(proposal, "task.positive")
    given = propose(
        "x",
        str(loans / "loans.csv"),
        str(loans / "model.txt"),
        folder=loans / "move",
        positive="good",
        target="loan_status",
    )
    assert given.migration.task.positive == "good"
    assert confidence(given, "task.target") == "given"


def test_roles(proposal: Proposal) -> None:
    roles = proposal.migration.roles
    assert roles.protected == ("sex", "age")
    assert "bands" in reason(proposal, "roles.protected")
    assert roles.key == ("customer_id",)
    assert roles.time == "applied_on"
    assert set(roles.personal) == {"email", "birth_date"}
    assert "@" not in reason(proposal, "roles.personal")
    assert roles.ignore == ("Unnamed: 0",)


def test_one_file_is_the_holdout_and_what_is_missing_is_said(proposal: Proposal) -> None:
    assert proposal.migration.data.train is None
    text = " ".join(proposal.text().replace("#", " ").split())
    assert "No training rows were given. Not assessed without them" in text
    assert "No production rows were given" in text
    assert "every figure is too good" in text


def test_what_is_written_is_valid_and_paths_are_relative(proposal: Proposal, loans: Path) -> None:
    limits = {"bias/gap": Limit(value=0.8, better="higher")}
    made = propose("l", str(loans / "loans.csv"), str(loans / "model.txt"), folder=loans / "written", limits=limits)
    file = made.write({"bias/gap": "Is any group selected less often?"})
    migration = open_migration(file)
    assert migration.data.holdout == "../loans.csv"
    assert migration.legacy.uri == "../model.txt"
    assert check(migration, limits, []) == []
    text = file.read_text()
    assert "# Is any group selected less often?\n  bias/gap: {value: 0.8, better: higher, set_by: default}" in text
    assert "PLEASE CHECK" in text
    assert migration.model_dump() == made.migration.at(file.parent).model_dump() | {"workbench": migration.workbench}
    with pytest.raises(MigrationError, match="there is a migration here already"):
        propose("l", str(loans / "loans.csv"), str(loans / "model.txt"), folder=loans / "written")


def test_paths_far_away_are_absolute(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    assert relative(str(folder / "x.csv"), folder) == "x.csv"
    assert relative(str(folder.parent / "d" / "*.csv"), folder) == "../d/*.csv"
    assert relative(str(tmp_path / "x.csv"), folder) == str(tmp_path / "x.csv")


def test_a_folder_is_told_apart_by_names(tmp_path: Path) -> None:
    for name in ("loans_train.csv", "loans-test.csv", "Production2024.parquet", "notes.txt"):
        (tmp_path / name).touch()
    files = sort_files(str(tmp_path), None, None)
    assert [Path(path).name for path in (*files.holdout, *files.train, *files.production)] == [
        "loans-test.csv", "loans_train.csv", "Production2024.parquet",
    ]  # fmt: skip
    (tmp_path / "loans-test.csv").unlink()
    with pytest.raises(ProposalError, match="No file for the holdout"):
        sort_files(str(tmp_path), None, None)
    (tmp_path / "a.csv").touch()
    assert [Path(path).name for path in sort_files(str(tmp_path), None, None).holdout] == ["a.csv"]
    (tmp_path / "b.csv").touch()
    with pytest.raises(ProposalError, match=r"cannot be told from the names a\.csv, b\.csv"):
        sort_files(str(tmp_path), None, None)


def test_mistakes_say_what_was_meant(loans: Path, tmp_path: Path) -> None:
    data, model = str(loans / "loans.csv"), str(loans / "model.txt")
    with pytest.raises(ProposalError, match="Did you mean 'loan_status'"):
        propose("x", data, model, folder=tmp_path, target="loanstatus")
    with pytest.raises(ProposalError, match="Did you mean 'sex'"):
        propose("x", data, model, folder=tmp_path, protected=["Sex"])
    with pytest.raises(DataError, match=r"loans\.csv"):
        propose("x", str(loans / "loan.csv"), model, folder=tmp_path)
    with pytest.raises(ModelError, match="did you mean"):
        propose("x", data, str(loans / "modle.txt"), folder=tmp_path)


def test_legacy_and_data_that_disagree_name_both_sides(loans: Path, tmp_path: Path) -> None:
    pd.DataFrame({"Income": [1.0, 2.0], "owed": [1.0, 2.0], "y": [0, 1]}).to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(ModelError) as caught:
        propose("x", str(tmp_path / "other.csv"), str(loans / "model.txt"), folder=tmp_path / "m")
    assert "'income', 'debt'" in str(caught.value)
    assert "'Income', 'owed', 'y'" in str(caught.value)
    assert "Rename the column" in str(caught.value)


def test_nothing_that_looks_like_a_target_asks_for_one(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(300, 4)), columns=list("abcd"))
    frame["said"] = random.integers(0, 2, 300)
    frame.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(ProposalError, match="--target"):
        propose("x", str(tmp_path / "t.csv"), "column:said", folder=tmp_path / "m")


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    names = [
        "<img src=x onerror=alert(1)>",
        "$\\frac{",
        "</script>",
        "\u202eeulav",
        "y" * 10_000,
        "a\nb: c",
        "sex\u0007",
    ]
    random = np.random.default_rng(0)
    frame = pd.DataFrame({name: random.choice(["p", "q"], 200) for name in names})
    frame["said"], frame["target\nversion: 9"] = random.integers(0, 2, (2, 200))
    frame.to_csv(tmp_path / "t.csv", index=False)
    made = propose("x", str(tmp_path / "t.csv"), "column:said", folder=tmp_path / "m", protected=names)
    migration = open_migration(made.write())
    assert migration.roles.protected == tuple(names)
    assert migration.task.target == "target\nversion: 9"
    assert migration.version == 1


@pytest.mark.parametrize(
    "column", [[1] * 30, [None] * 30, [float("inf")] * 15 + [1.0] * 15, ["1", "x", None] * 10, list(range(30))]
)
def test_odd_columns_do_not_break_it(column: list[object], tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"sex": column, "age": column, "id": column, "date": column, "y": [0, 1] * 15, "said": [0, 1, 1] * 10}
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    made = propose("x", str(tmp_path / "t.csv"), "column:said", folder=tmp_path / "m")
    assert made.migration.task.target == "y"
    open_migration(made.write())


def test_one_row(tmp_path: Path) -> None:
    pd.DataFrame({"y": [1], "said": [1]}).to_csv(tmp_path / "t.csv", index=False)
    made = propose("x", str(tmp_path / "t.csv"), "column:said", folder=tmp_path / "m", target="y")
    assert made.migration.task.positive == 1
    assert confidence(made, "task.kind") == "low"


def test_the_sample_is_proposed_as_it_was_declared(tmp_path: Path, sample_folder: Path) -> None:
    shutil.copytree(sample_folder, tmp_path, dirs_exist_ok=True)
    declared = open_migration(tmp_path)
    made = propose("lending", str(tmp_path / "data"), str(tmp_path / MODEL), folder=tmp_path, force=True)
    assert made.migration.model_dump(exclude={"limits", "workbench"}) == declared.model_dump(
        exclude={"limits", "workbench"}
    )
    assert made.migration.data.train == FILES["train"]
    assert made.migration.roles.personal == PERSONAL
    assert "PLEASE CHECK" not in made.text()


def test_numbered_classes_are_paired_with_the_values_they_agree_with(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"a": random.normal(size=600), "b": random.normal(size=600)})
    code = np.digitize(frame["a"], [-0.5, 0.5])
    trained = lightgbm.Dataset(frame, code)
    params = {"objective": "multiclass", "num_class": 3, "verbosity": -1, "num_threads": 1, "seed": 0}
    lightgbm.train(params, trained, 10).save_model(tmp_path / "m.txt")
    names = np.array(["mid", "top", "low"])[code]
    wrong = random.random(600) < 0.1
    frame["kind"] = np.where(wrong, random.choice(["mid", "top", "low"], 600), names)
    frame.to_csv(tmp_path / "t.csv", index=False)
    made = propose("x", str(tmp_path / "t.csv"), str(tmp_path / "m.txt"), folder=tmp_path / "m", target="kind")
    assert made.migration.legacy.options["classes"] == ["mid", "top", "low"]
    share = round(float((names == frame["kind"]).mean()), 2)
    assert f"paired with its values they agree in {share:.0%} in 600 rows" in reason(made, "task.target")


def test_a_reversed_score_is_noticed(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    y = random.integers(0, 2, 500)
    pd.DataFrame({"y": y, "p": (1 - y) * 0.5 + random.random(500) * 0.4}).to_csv(tmp_path / "t.csv", index=False)
    made = propose("x", str(tmp_path / "t.csv"), "column:p", folder=tmp_path / "m", target="y")
    assert "the model's score falls where it holds" in reason(made, "task.positive")


@pytest.fixture(scope="module")
def logistic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """XGBoost's reg:logistic, which calls itself a regression, on a table whose target is 0/1, and as a map has it."""
    import xgboost

    folder, random = tmp_path_factory.mktemp("logistic"), np.random.default_rng(0)
    frame = pd.DataFrame({"income": random.normal(50, 10, 400), "town": random.choice(["a", "b"], 400)})
    coded = np.column_stack([frame["income"], *(np.where(frame["town"] == town, 1.0, np.nan) for town in "ab")])
    frame["paid"] = (frame["income"] + random.normal(0, 5, 400) > 50).astype(int)
    frame["share"] = frame["paid"] * 0.5 + random.uniform(0, 0.5, 400)
    params = {"objective": "reg:logistic", "nthread": 1, "max_depth": 2}
    model = xgboost.train(params, xgboost.DMatrix(coded, frame["paid"]), 10)
    model.save_model(folder / "model.ubj")
    (folder / "towns.fmap").write_text("0 income q\n1 town=a i\n2 town=b i\n")
    (folder / "wrong.fmap").write_text("0 income q\n1 town=a i\n")
    frame.to_csv(folder / "rows.csv", index=False)
    frame.drop(columns="paid").to_csv(folder / "rates.csv", index=False)
    return folder


def test_a_probability_is_of_two_classes_whatever_the_objective_is_called(logistic: Path) -> None:
    found = propose("x", str(logistic / "rows.csv"), str(logistic / "model.ubj"), folder=logistic / "move")
    assert (found.migration.task.kind, found.migration.task.target) == ("binary", "paid")
    assert "a probability" in reason(found, "task.kind")
    assert found.migration.legacy.options == {"feature_map": "towns.fmap", "classes": [0, 1]}
    assert confidence(found, "legacy.options.feature_map") == "high"
    assert found.migration.at(logistic / "move").legacy.uri == "../model.ubj"


def test_a_rate_between_0_and_1_stays_a_regression(logistic: Path) -> None:
    found = propose("x", str(logistic / "rates.csv"), str(logistic / "model.ubj"), folder=logistic / "other")
    assert (found.migration.task.kind, found.migration.task.target) == ("regression", "share")
    said = propose("x", str(logistic / "rows.csv"), str(logistic / "model.ubj"), folder=logistic / "t", target="share")
    assert said.migration.task.kind == "regression"
    told = propose(
        "x", str(logistic / "rows.csv"), str(logistic / "model.ubj"), folder=logistic / "u", task="regression",
        target="share",
    )  # fmt: skip
    assert told.migration.legacy.options == {"feature_map": "towns.fmap"}


def test_an_old_xgboost_file_with_its_map_beside_it(cases: Path, tmp_path: Path) -> None:
    files = cases / "legacy_models" / "xgboost" / "0.71"
    for name in ("LogisticRegressionAudit", "BinomialClassificationAudit"):
        found = propose("audit", str(files / "input_Audit.csv"), str(files / f"{name}.model"), folder=tmp_path / name)
        assert (found.migration.task.kind, found.migration.task.target) == ("binary", "Adjusted")
        assert found.migration.legacy.options["feature_map"] == "input_Audit.fmap"


def test_audit_with_lightgbm(cases: Path, tmp_path: Path) -> None:
    folder = cases / "legacy_models/lightgbm/2.3.0"
    made = propose("audit", str(folder / "input_Audit.csv"), str(folder / "ClassificationAudit.txt"), folder=tmp_path)
    task = made.migration.task
    assert (task.kind, task.target, task.positive) == ("binary", "Adjusted", 1)
    assert confidence(made, "task.target") == "high"
    assert made.migration.roles.protected == ("Age", "Marital", "Gender")
    given = propose(
        "audit", str(folder / "input_Audit.csv"), str(folder / "ClassificationAudit.txt"), folder=tmp_path,
        target="Adjusted", protected=["Gender", "Marital"],
    )  # fmt: skip
    assert given.migration.roles.protected == ("Gender", "Marital")
    assert "these might be, too: Age" in reason(given, "roles.protected")


def test_regression_and_three_classes(cases: Path, tmp_path: Path) -> None:
    folder = cases / "legacy_models/lightgbm/2.3.0"
    housing = propose("h", str(folder / "input_Housing.csv"), str(folder / "RegressionHousing.txt"), folder=tmp_path)
    assert (housing.migration.task.kind, housing.migration.task.target) == ("regression", "MEDV")
    assert "threshold" not in housing.text()
    iris = propose("i", str(folder / "input_Iris.csv"), str(folder / "ClassificationIris.txt"), folder=tmp_path)
    assert (iris.migration.task.kind, iris.migration.task.target) == ("multiclass", "Species")
    assert iris.migration.legacy.options == {"classes": ["setosa", "versicolor", "virginica"]}


def test_compas_with_a_stored_decision(cases: Path, tmp_path: Path) -> None:
    data = cases / "fairness/compas/compas-scores-two-years.deid.csv"
    made = propose("compas", str(data), 'column:score_text != "Low"', folder=tmp_path)
    assert made.migration.task.target == "two_year_recid"
    assert made.migration.roles.protected == ("sex", "age_cat", "race")
    assert "age is left to age_cat" in reason(made, "roles.protected")
    assert open_migration(made.write()).legacy.uri == 'column:score_text != "Low"'
