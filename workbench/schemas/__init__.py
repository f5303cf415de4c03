"""JSON schemas of what the workbench reads and writes, for editors and other programs: data files of this package.

`python -m workbench.schemas` remakes them from the code; a test fails when they are stale.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from workbench.evidence import Evidence
from workbench.migration import Migration

FOLDER = Path(__file__).resolve().parent
_MODELS: dict[str, type[BaseModel]] = {"migration": Migration, "evidence": Evidence}


def path(name: str) -> Path:
    """The checked-in schema of "migration" or "evidence"."""
    return FOLDER / f"{name}.schema.json"


def texts() -> dict[str, str]:
    """Each schema as the code has it now, by name."""
    return {name: json.dumps(_schema(model), indent=2, ensure_ascii=False) + "\n" for name, model in _MODELS.items()}


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    # What is read is what an editor completes; what is written is what another program reads.
    written = model is Evidence
    schema = model.model_json_schema(
        by_alias=True,
        mode="serialization" if written else "validation",
        schema_generator=_Written if written else GenerateJsonSchema,
    )
    return {"$schema": GenerateJsonSchema.schema_dialect, **schema}


class _Written(GenerateJsonSchema):
    """Evidence writes a number that is not finite as a string (see `Plain`), which pydantic's own schema leaves out."""

    def float_schema(self, schema: core_schema.FloatSchema) -> JsonSchemaValue:
        return {"anyOf": [super().float_schema(schema), {"enum": ["NaN", "Infinity", "-Infinity"]}]}
