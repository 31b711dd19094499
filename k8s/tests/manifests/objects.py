"""Find objects in a rendered overlay, and read their parts."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Object = dict[str, Any]

K8S = Path(__file__).parents[2]


@dataclass(frozen=True)
class Overlay:
    """The name of an overlay, and its rendered Kubernetes objects."""

    name: str
    objects: list[Object]

    def of_kind(self, *kinds: str) -> list[Object]:
        """Return all objects of these kinds."""
        return [each for each in self.objects if each["kind"] in kinds]

    def get(self, kind: str, name: str) -> Object:
        """Return the object with this kind and name."""
        [found] = [each for each in self.of_kind(kind) if name_of(each) == name]
        return found

    @property
    def workloads(self) -> list[Object]:
        """Return the objects that create pods, such as Deployments and Jobs."""
        return [each for each in self.objects if {"template", "jobTemplate"} & each.get("spec", {}).keys()]

    @property
    def containers(self) -> list[tuple[str, Object]]:
        """Return all containers and init containers, each with a name.

        The name has the form "workload/container".
        """
        return [
            (f"{name_of(workload)}/{container['name']}", container)
            for workload in self.workloads
            for container in containers(workload)
        ]

    def environment(self, container: Object) -> Object:
        """Return the environment variables of a container.

        If a variable comes from a Secret, its value is the reference to the Secret, a dict.
        """
        env: Object = {}
        for source in container.get("envFrom", []):
            env |= self.get("ConfigMap", source["configMapRef"]["name"])["data"]
        for each in container.get("env", []):
            env[each["name"]] = each["value"] if "value" in each else each["valueFrom"]["secretKeyRef"]
        return env

    def secrets(self) -> set[tuple[str, str]]:
        """Return the name and the key of each required Secret.

        The key is "*" if a volume mounts the whole Secret.
        """
        found = set()
        for workload in self.workloads:
            for container in containers(workload):
                for value in self.environment(container).values():
                    if isinstance(value, dict) and not value.get("optional"):
                        found.add((value["name"], value["key"]))
            for volume in pod(workload).get("volumes", []):
                if "secret" in volume:
                    found.add((volume["secret"]["secretName"], "*"))
        return found


def name_of(each: Object) -> str:
    """Return the name of an object."""
    return str(each["metadata"]["name"])


def template(workload: Object) -> Object:
    """Return the pod template of a workload."""
    spec = workload["spec"]
    found: Object = (spec["jobTemplate"]["spec"] if workload["kind"] == "CronJob" else spec)["template"]
    return found


def pod(workload: Object) -> Object:
    """Return the pod spec of a workload."""
    spec: Object = template(workload)["spec"]
    return spec


def pod_labels(workload: Object) -> dict[str, str]:
    """Return the pod labels of a workload."""
    labels: dict[str, str] = template(workload)["metadata"]["labels"]
    return labels


def containers(workload: Object) -> list[Object]:
    """Return the containers and init containers of a workload."""
    return [*pod(workload).get("initContainers", []), *pod(workload)["containers"]]


def selects(selector: Object, labels: dict[str, str]) -> bool:
    """Return whether a label selector matches these labels.

    Only the operator `In` is supported.
    """
    expressions = selector.get("matchExpressions", [])
    assert all(each["operator"] == "In" for each in expressions)
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        labels.get(each["key"]) in each["values"] for each in expressions
    )


def strings(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield each string in an object, with its path in the object."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from strings(each, f"{path}.{key}")
    elif isinstance(value, list):
        for each in value:
            yield from strings(each, f"{path}[]")
    elif isinstance(value, str):
        yield path, value
