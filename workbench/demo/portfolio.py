"""A bank's loan applications, made up: how they would look without a fault, and the faults planted in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workbench.evidence import Plain

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

ROWS = {"train": 20_000, "holdout": 10_000, "production": 10_000}
KEY, TIME, TARGET, PROTECTED = "loan_id", "application_date", "repaid", ("sex", "age_group")
PERSONAL = ("full_name", "email", "phone")
LEAK = "collection_calls"
NUMBERS = ("income_cents", "debt_cents", "loan_cents", "term_months", "account_opened_at", "years_employed")
CATEGORIES = ("employment", "customer_segment", "housing", "purpose")
FEATURES = NUMBERS + CATEGORIES
"""What the legacy model reads. Cents and seconds since 1970 are not exact in float32."""

_AGES = {"18-29": 0.24, "30-44": 0.33, "45-59": 0.26, "60+": 0.17}
_SEGMENTS = {"starter": 0.24, "family": 0.33, "established": 0.26, "retired": 0.17}
_EMPLOYMENT = {"Employed": 0.58, "Self-employed": 0.17, "Public service": 0.17, "Not employed": 0.08}
_HOUSING = {"Rent": 0.38, "Mortgage": 0.34, "Own": 0.18, "With family": 0.1}
_PURPOSE = {"Car": 0.3, "Home": 0.25, "Education": 0.15, "Business": 0.14, "Other": 0.16}
_TERMS = {12: 0.15, 24: 0.25, 36: 0.3, 48: 0.18, 60: 0.12}
_DAYS = {"train": ("2023-01-01", 730), "holdout": ("2023-01-01", 730), "production": ("2025-01-01", 180)}
_FIRST = "Ada Ben Cleo Dan Eva Finn Gia Hugo Ida Jon Kim Leo Mia Ned Oda Per Quin Rosa Sam Tess Uma Vic Wes Xia Zoe"
_LAST = "Abel Brook Carver Dale Ember Frost Grove Hale Irons Jarvis Kerr Lund Marsh North Oakes Pike Quill Reed Stone"
_VARIANTS = ("self employed ", "SELF-EMPLOYED", "Self Employed")


class Truth(Plain):
    """A planted fault.

    finding: id of the finding that must report it; subject: of what, as the finding names it;
    table: where it lies; keys: the rows concerned, by loan_id (() where it is the column as a whole).
    """

    finding: str
    subject: str
    table: str
    what: str
    keys: tuple[str, ...] = ()


class Truths(Plain):
    """What was planted; nothing in the clean twin."""

    clean: bool
    seed: int
    planted: tuple[Truth, ...] = ()

    def about(self, finding: str) -> tuple[Truth, ...]:
        """The truths a finding of this id must report."""
        return tuple(truth for truth in self.planted if truth.finding == finding)


@dataclass
class Portfolio:
    """The three tables, and what was planted in them."""

    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    planted: list[Truth] = field(default_factory=list)

    def plant(self, finding: str, subject: str, table: str, what: str, rows: pd.Series[Any] | None = None) -> None:
        keys = () if rows is None else tuple(sorted(set(map(str, rows))))
        self.planted.append(Truth(finding=finding, subject=subject, table=table, what=what, keys=keys))


def make_portfolio(clean: bool, seed: int) -> Portfolio:
    """The same seed gives the same rows."""
    import numpy as np

    random = np.random.default_rng(seed)
    portfolio, first = Portfolio(), 1
    for name, rows in ROWS.items():
        portfolio.tables[name] = _applications(random, name, first, rows, clean)
        first += rows
    if not clean:
        _plant_groups(portfolio)
        _plant_columns(portfolio, random)
        _plant_drift(portfolio, random)
        _plant_values(portfolio, random)
        _plant_rows(portfolio, random)
        _record_values(portfolio)
    # The outcome of a loan just applied for is not known.
    portfolio.tables["production"] = portfolio.tables["production"].drop(columns=[TARGET, LEAK], errors="ignore")
    return portfolio


def _applications(random: np.random.Generator, name: str, first: int, rows: int, clean: bool) -> pd.DataFrame:
    import pandas as pd

    sex = random.choice(("female", "male"), rows, p=(0.48, 0.52))
    age = random.choice(list(_AGES), rows, p=list(_AGES.values()))
    pay = 1.0 if clean else (sex == "male") * 0.4 + 0.6
    income = random.lognormal(15.7, 0.38, rows) * pay
    columns = {
        KEY: [f"L-{number:07d}" for number in range(first, first + rows)],
        TIME: _dates(random, name, rows),
        "sex": sex,
        "age_group": age,
        "income_cents": _whole(income),
        "debt_cents": _whole(income * random.beta(2.2, 5.0, rows)).astype(float),
        "loan_cents": _whole(random.lognormal(14.2, 0.35, rows)),
        "term_months": _choice(random, rows, _TERMS),
        # 2010 to 2021, to the second
        "account_opened_at": random.integers(1_262_304_000, 1_640_995_200, rows),
        "years_employed": random.gamma(2.5, 2.6, rows).round(1).clip(0, 25),
        "employment": _choice(random, rows, _EMPLOYMENT),
        "customer_segment": _segments(random, age, clean),
        "housing": _choice(random, rows, _HOUSING),
        "purpose": _choice(random, rows, _PURPOSE),
    }
    frame = pd.DataFrame(columns)
    frame[TARGET] = (random.random(rows) < _repays(frame)).astype(int)
    return _with_gaps(frame, random)


def _repays(frame: pd.DataFrame) -> NDArray[np.float64]:
    """P(repaid) by income, burden, stability and purpose; by no group, and not by the customer's segment."""
    import numpy as np

    burden = (frame["debt_cents"] + 12 * frame["loan_cents"] / frame["term_months"]) / frame["income_cents"]
    score = 3.2 * (np.log(frame["income_cents"]) - 15.35) - 7.0 * (burden - 0.45)
    score += 0.15 * (frame["years_employed"] - 6) - (frame["account_opened_at"] - 1.45e9) / 1.5e8
    score += frame["employment"].map({"Public service": 0.8, "Not employed": -1.6}).fillna(0.0)
    score += frame["housing"].map({"Own": 0.7, "Rent": -0.4}).fillna(0.0)
    score += frame["purpose"].map({"Business": -0.7, "Home": 0.4}).fillna(0.0)
    return np.asarray(1 / (1 + np.exp(-1.3 * score)), dtype=np.float64)


def _with_gaps(frame: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """Values nobody wrote down, at random: empty, as they should be."""
    for column, share in {"years_employed": 0.03, "debt_cents": 0.02, "housing": 0.015}.items():
        frame.loc[random.random(len(frame)) < share, column] = None
    return frame


def _segments(random: np.random.Generator, age: NDArray[np.str_], clean: bool) -> NDArray[Any]:
    """The bank's segments; in the faulty portfolio they follow the age group in 96 of 100 cases."""
    import numpy as np

    free = _choice(random, len(age), _SEGMENTS)
    followed = np.array(list(_SEGMENTS))[[list(_AGES).index(group) for group in age]]
    return free if clean else np.where(random.random(len(age)) < 0.947, followed, free)


def _choice(random: np.random.Generator, rows: int, shares: dict[Any, float]) -> NDArray[Any]:
    return random.choice(list(shares), rows, p=list(shares.values()))


def _whole(values: NDArray[np.float64]) -> NDArray[np.int64]:
    import numpy as np

    return np.rint(values).astype(np.int64)


def _dates(random: np.random.Generator, name: str, rows: int) -> list[Any]:
    import pandas as pd

    start, days = _DAYS[name]
    stamps = pd.Timestamp(start) + pd.to_timedelta(random.integers(0, days, rows), unit="D")
    return list(stamps.date)


def _plant_groups(portfolio: Portfolio) -> None:
    """Already in the rows as they were made."""
    gap = "women earn 60 % of what men earn, so they are selected far less than four fifths as often"
    portfolio.plant("bias/selection-rate-ratio", "sex", "holdout", gap)
    proxy = "customer_segment tells the age group of 96 of 100 applicants"
    portfolio.plant("readiness/proxy", "customer_segment", "train", proxy)
    portfolio.plant("readiness/proxy", "income_cents", "train", "income tells women from men: it differs by the gap")


def _plant_columns(portfolio: Portfolio, random: np.random.Generator) -> None:
    for frame in portfolio.tables.values():
        n = len(frame)
        first, last = random.choice(_FIRST.split(), n), random.choice(_LAST.split(), n)
        number = frame[KEY].str[2:]
        frame.insert(1, "full_name", [f"{a} {b}" for a, b in zip(first, last)])
        frame.insert(2, "email", [f"{a}.{b}{i}@example.com".lower() for a, b, i in zip(first, last, number)])
        # 555-01xx is reserved for fiction.
        area, line = random.integers(201, 990, n), random.integers(100, 200, n)
        frame.insert(3, "phone", [f"+1-{a}-555-0{b}" for a, b in zip(area, line)])
        late = frame[TARGET] == 0
        calls = random.poisson(4, n) + 1
        frame[LEAK] = calls * (late & (random.random(n) < 0.995)) + (~late & (random.random(n) < 0.005))
    for column in PERSONAL:
        portfolio.plant(
            "readiness/personal-data", column, "train", f"{column} holds personal data; the model does not read it"
        )
    leak = "calls are made after a loan went bad: known only after the decision, and nearly the label"
    portfolio.plant("readiness/leakage", LEAK, "train", leak)


def _plant_drift(portfolio: Portfolio, random: np.random.Generator) -> None:
    frame = portfolio.tables["production"]
    frame["income_cents"] = _whole(frame["income_cents"].to_numpy() * 0.7)
    frame.loc[random.random(len(frame)) < 0.15, "employment"] = "Gig work"
    portfolio.plant("readiness/drift", "income_cents", "production", "incomes are 30 % lower than in training")
    new = "a category training never saw: Gig work"
    portfolio.plant("readiness/drift", "employment", "production", new)
    portfolio.plant("readiness/unseen-categories", "employment", "production", new)


def _plant_values(portfolio: Portfolio, random: np.random.Generator) -> None:
    for frame in portfolio.tables.values():
        frame.loc[random.random(len(frame)) < 0.02, "purpose"] = "N/A"
        frame.loc[random.random(len(frame)) < 0.015, "years_employed"] = -999.0
        mixed = (frame["employment"] == "Self-employed") & (random.random(len(frame)) < 0.25)
        frame.loc[mixed, "employment"] = random.choice(_VARIANTS, int(mixed.sum()))


def _plant_rows(portfolio: Portfolio, random: np.random.Generator) -> None:
    train, holdout = portfolio.tables["train"], portfolio.tables["holdout"]
    flipped = random.random(len(train)) < 0.04
    train.loc[flipped, TARGET] = 1 - train.loc[flipped, TARGET]
    noisy = train.loc[flipped, KEY]
    copied = random.choice(len(train) - 60, 180, replace=False)
    train.iloc[-60:] = train.iloc[copied[:60]].to_numpy()
    replaced = random.choice(len(holdout), 120, replace=False)
    holdout.iloc[replaced] = train.iloc[copied[60:]].to_numpy()
    noisy = noisy[noisy.isin(train[KEY])]
    portfolio.plant("readiness/label-noise", TARGET, "train", "4 % of the labels are flipped", noisy)
    portfolio.plant("readiness/duplicates", "train", "train", "60 rows are there twice", train.iloc[-60:][KEY])
    both = "120 rows of the holdout are rows of the training data"
    portfolio.plant("readiness/overlap", "", "holdout", both, holdout.iloc[replaced][KEY])


def _record_values(portfolio: Portfolio) -> None:
    """Last, when every row has found its table."""
    for name, frame in portfolio.tables.items():
        text, number = frame["purpose"] == "N/A", frame["years_employed"] == -999
        mixed = frame["employment"].isin(_VARIANTS)
        portfolio.plant("readiness/disguised-nulls", "purpose", name, '"N/A" stands for nothing', frame.loc[text, KEY])
        portfolio.plant(
            "readiness/disguised-nulls", "years_employed", name, "-999 stands for nothing", frame.loc[number, KEY]
        )
        portfolio.plant(
            "readiness/category-variants", "employment", name, "Self-employed in four spellings", frame.loc[mixed, KEY]
        )
