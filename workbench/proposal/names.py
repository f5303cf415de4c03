"""What a column's name says. Names are read word by word: `age` is in `age_group` and not in `mileage`."""

from __future__ import annotations

import re

_SPLIT = re.compile(r"[^a-z0-9]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def words(name: str) -> tuple[str, ...]:
    """`loanStatus`, `loan-status`, `LOAN_STATUS`: ("loan", "status"). Digits at the end of a word are dropped."""
    parts = _SPLIT.split(_CAMEL.sub("_", name).lower())
    return tuple(word for part in parts if (word := part.rstrip("0123456789") or part))


def says(name: str, pattern: re.Pattern[str]) -> bool:
    """Whether the name, its words joined by `_`, holds the pattern at word borders."""
    return pattern.search("_" + "_".join(words(name)) + "_") is not None


def _any(*phrases: str) -> re.Pattern[str]:
    return re.compile("_(" + "|".join(phrases) + ")_")


TARGET = _any(
    "target", "labels?", "class", "y", "outcome", "response", "defaulted", "default", "churn(ed)?", "fraud", "is_fraud",
    "approved", "approval", "repaid", "paid_off", "survived", "diagnosis", "recid(ivism)?", "two_year_recid",
    "is_recid", "loan_status", "status", "risk", "bad", "good_bad", "truth", "ground_truth", "actual", "converted",
    "price", "sale_price", "adjusted", "result", "event", "flag", "income_class", "credit_risk",
)  # fmt: skip
ANSWER = _any("pred(icted|iction|ictions)?", "probability", "prob", "proba", "score", "scores", "decile", "estimate")
"""What another model, or this one, said: never the truth."""
PROTECTED = _any(
    "sex", "gender", "age", "ages", "agegroup", "ageband", "race", "racial", "ethnic(ity)?", "marital", "marriage",
    "married", "civil_status", "family_status", "religion", "religious", "faith", "nationality", "citizen(ship)?",
    "native_country", "foreign_worker", "foreigner", "immigrant", "immigration", "disability", "disabled", "handicap",
    "pregnan(t|cy)", "orientation", "veteran", "caste", "skin_color", "mother_tongue", "country_of_birth",
)  # fmt: skip
"""Grounds named by the EU Charter (article 21), the US Equal Credit Opportunity Act and the UK Equality Act."""
AGE = _any("age", "ages", "agegroup", "ageband")
KEY = _any("id", "ids", "key", "uuid", "guid", "no", "nr", "number", "code", "ref", "reference", "index", "unnamed")
TIME = _any(
    "date", "datetime", "time", "timestamp", "ts", "at", "day", "created", "applied", "application", "opened", "month",
)  # fmt: skip
EVENT = _any(
    "application", "applied", "created", "event", "transaction", "decision", "observation", "snapshot", "as_of",
    "screening", "order", "issue", "issued", "origination", "disbursement",
)  # fmt: skip
BIRTH = _any("birth", "birthdate", "birthday", "dob", "born")
PERSONAL = _any(
    "name", "firstname", "lastname", "surname", "first", "last", "e_mail", "email", "mail", "phone", "telephone",
    "mobile", "fax", "address", "street", "ssn", "passport", "iban", "ip", "dob", "birth", "birthdate", "birthday",
    "license_plate", "tax_id", "national_id", "licence",
)  # fmt: skip
WEIGHT = _any("sample_weight", "case_weight", "survey_weight", "instance_weight", "fnlwgt", "weights")
ROW_NUMBER = re.compile(r"_unnamed(_\d+)?_|_level_\d+_|_row(_number|_id)?_")
TRAIN = _any("train", "training", "learn", "development", "dev")
HOLDOUT = _any("holdout", "hold_out", "test", "testing", "valid", "validation", "eval", "evaluation", "oot")
PRODUCTION = _any("production", "prod", "scoring", "score", "live", "recent", "current")
