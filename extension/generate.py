"""TypeScript types of what the server answers, made from the files that say it: run by `make schemas`, held by a test.

src/server.ts from the server's OpenAPI file, src/evidence.ts from the JSON schema of evidence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

import workbench

HERE = Path(__file__).resolve().parent
PACKAGE = Path(workbench.__file__).parent
PLAIN = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
Schema = Mapping[str, Any]


def texts() -> dict[Path, str]:
    """Each generated file as it should be now."""
    api = YAML(typ="safe").load((PACKAGE / "ui" / "server" / "openapi.yaml").read_text(encoding="utf-8"))
    evidence = json.loads((PACKAGE / "schemas" / "evidence.schema.json").read_text(encoding="utf-8"))
    own = {name: part for name, part in evidence.items() if not name.startswith("$")}
    return {
        HERE / "src" / "server.ts": _file("the server's openapi.yaml", api["components"]["schemas"]),
        HERE / "src" / "evidence.ts": _file("evidence.schema.json", {**evidence["$defs"], "Evidence": own}),
    }


def _file(source: str, schemas: Mapping[str, Schema]) -> str:
    made = [f"{_doc(schema, '')}export type {name} = {_type(schema, '')};" for name, schema in schemas.items()]
    return "\n\n".join([f"// Generated from {source} by generate.py: do not edit.", *made]) + "\n"


def _type(schema: Schema, indent: str) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for key, sign in (("allOf", " & "), ("oneOf", " | "), ("anyOf", " | ")):
        if key in schema:
            return sign.join(dict.fromkeys(_type(part, indent) for part in schema[key]))
    if "const" in schema or "enum" in schema:
        return " | ".join(_literal(value) for value in schema.get("enum", [schema.get("const")]))
    kinds = schema.get("type", ())
    names = [kinds] if isinstance(kinds, str) else list(kinds)
    return " | ".join(_named(name, schema, indent) for name in names) or "unknown"


def _literal(value: object) -> str:
    return "'" + value + "'" if isinstance(value, str) else json.dumps(value)


def _named(name: str, schema: Schema, indent: str) -> str:
    if name == "array":
        if "prefixItems" in schema:
            return f"[{', '.join(_type(part, indent) for part in schema['prefixItems'])}]"
        inner = _type(schema.get("items", {}), indent)
        return f"({inner})[]" if " " in inner and not inner.startswith("{") else f"{inner}[]"
    return _object(schema, indent) if name == "object" else PLAIN[name]


def _object(schema: Schema, indent: str) -> str:
    if "properties" not in schema:
        inner = schema.get("additionalProperties", {})
        return f"Record<string, {_type(inner, indent) if isinstance(inner, Mapping) else 'unknown'}>"
    deeper = indent + "  "
    required = set(schema.get("required", ()))
    # What has a default is always written: a schema of what is written says so by the default alone.
    lines = []
    for name, part in schema["properties"].items():
        sign = "" if name in required or "default" in part else "?"
        lines.append(f"{_doc(part, deeper)}{deeper}{name}{sign}: {_type(part, deeper)};")
    return "\n".join(["{", *lines, indent + "}"])


def _doc(schema: Schema, indent: str) -> str:
    text = " ".join(str(schema.get("description", "")).replace("*/", "* /").split())
    return f"{indent}/** {text} */\n" if text else ""


if __name__ == "__main__":
    for path, text in texts().items():
        path.write_text(text, encoding="utf-8")
        print(path)
