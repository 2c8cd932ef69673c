"""The JSON Schema of the file, for editors."""

from typing import Any

from gatekeeper.config.models import File

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """Draft 2020-12. It describes every key by itself; what needs several keys is said by ``gatekeeper check``."""
    schema: dict[str, Any] = tidy(File.model_json_schema(by_alias=True, mode="validation"))
    # The services may be in the files that are included; the editor sees one file at a time.
    del schema["required"]
    schema["anyOf"] = [{"required": ["services"]}, {"required": ["include"]}]
    return {"$schema": DIALECT, "$id": "gatekeeper.schema.json", **schema, "title": "Gatekeeper configuration"}


def tidy(node: Any) -> Any:
    """Without what pydantic says of Python rather than of the file: titles, "or null", defaults of null."""
    if isinstance(node, list):
        return [tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    made: dict[str, Any] = {
        key: _named(value) if key in {"properties", "$defs"} else tidy(value) for key, value in node.items()
    }
    if isinstance(made.get("title"), str):
        del made["title"]
    if made.get("default", "") is None:
        del made["default"]
    choices = [choice for choice in made.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        del made["anyOf"]
        made = {**choices[0], **made}
    elif choices:
        made["anyOf"] = choices
    if "patternProperties" in made:
        made["additionalProperties"] = False
    return made


def _named(mapping: dict[str, Any]) -> dict[str, Any]:
    return {name: tidy(value) for name, value in mapping.items()}
