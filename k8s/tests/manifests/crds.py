"""Schemas of the custom resources in k8s/, made from published definitions.

`python -m k8s.tests.manifests.crds MODULE@VERSION FILE...` writes the schemas of the definitions in these files,
without their descriptions. Download the files first, from the folder `config/crd/bases` or `manifests/crds` of the
project's Go module. The command does not download MODULE@VERSION, but only records it as the source of the files.
"""

import json
import sys
from pathlib import Path
from typing import Any

import jsonschema
import yaml

FOLDER = Path(__file__).parent / "schemas"
DROPPED = ("description", "x-kubernetes-validations", "format")


def validate(each: dict[str, Any]) -> None:
    """Raise `jsonschema.ValidationError` if a custom resource violates its schema.

    The schemas also refuse unknown fields.
    """
    schema = json.loads((FOLDER / f"{each['kind']}.json").read_text())["versions"][each["apiVersion"]]
    jsonschema.Draft202012Validator(schema).validate(each)


def schemas(definition: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of each served version of a CustomResourceDefinition.

    The keys are the apiVersions.
    """
    group = definition["spec"]["group"]
    return {
        f"{group}/{version['name']}": _strict(version["schema"]["openAPIV3Schema"])
        for version in definition["spec"]["versions"]
        if version["served"]
    }


def _strict(node: Any, name: str = "") -> Any:
    """Return a stricter copy of a schema, which refuses unknown fields.

    With strict validation, the API server refuses unknown fields too.
    """
    if isinstance(node, list):
        return [_strict(each) for each in node]
    if not isinstance(node, dict):
        return node
    if name == "properties":  # here, the keys are field names
        return {key: _strict(value) for key, value in node.items()}
    if name == "" and node.get("properties", {}).keys() >= {"apiVersion", "kind", "metadata"}:
        node = {
            **node,
            "properties": {**node["properties"], "metadata": {"x-kubernetes-preserve-unknown-fields": True}},
        }
    strict = {key: _strict(value, key) for key, value in node.items() if key not in DROPPED}
    if strict.pop("x-kubernetes-int-or-string", False):
        strict["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    keeps = strict.pop("x-kubernetes-preserve-unknown-fields", False)
    if "properties" in strict and "additionalProperties" not in strict and not keeps:
        strict["additionalProperties"] = False
    return {key: value for key, value in strict.items() if not key.startswith("x-kubernetes-")}


def main(source: str, files: list[str]) -> None:
    """Write the schemas of these files."""
    for file in files:
        definition = yaml.safe_load(Path(file).read_text())
        content = {"source": source, "versions": schemas(definition)}
        target = FOLDER / f"{definition['spec']['names']['kind']}.json"
        target.write_text(json.dumps(content, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
