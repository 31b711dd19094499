"""A fake Tilt for tests.

It evaluates a Tiltfile in a Starlark interpreter and records the calls of Tilt's functions.

If a Tiltfile uses a function or an argument that is missing here, add it with the signature in
https://docs.tilt.dev/api.html.
"""

import functools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import starlark

from tools import kustomize
from tools.local import ROOT

Object = dict[str, Any]

# Tilt's functions whose names contain a dot, and the one that receives a Starlark function as an argument.
PRELUDE = """
os = struct(path = struct(exists = _exists, join = _join, dirname = _dirname))
config = struct(
    define_string = _define,
    define_string_list = _define,
    define_bool = _define,
    parse = _parse,
    set_enabled_resources = _set_enabled_resources,
)
v1alpha1 = struct(
    ui_button = _ui_button,
    ui_component_location = _ui_component_location,
    ui_input_spec = _ui_input_spec,
    ui_text_input_spec = _ui_text_input_spec,
    cmd = _cmd,
    start_on_spec = _start_on_spec,
)

def workload_to_resource_function(function):
    _name_workloads([function(struct(name = each["name"], kind = each["kind"])) for each in _workloads()])
"""


@dataclass(frozen=True)
class Blob:
    """The output of a command, or a YAML stream, which is stored as JSON here.

    As in Tilt, a Tiltfile has to call `str()` to get a string.
    """

    text: str


@dataclass
class Tilt:
    """The state of Tilt after it has evaluated a Tiltfile.

    `read` raises `StarlarkError` if the Tiltfile is invalid.
    """

    context: str = "kind-kind"
    arguments: Object = field(default_factory=dict)
    # The output of each command. A key is a substring of the command.
    prints: dict[str, str] = field(default_factory=dict)

    objects: list[Object] = field(default_factory=list)
    workloads: dict[str, Object] = field(default_factory=dict)
    resources: dict[str, Object] = field(default_factory=dict)
    local_resources: dict[str, Object] = field(default_factory=dict)
    images: dict[str, Object] = field(default_factory=dict)
    buttons: dict[str, Object] = field(default_factory=dict)
    commands: dict[str, Object] = field(default_factory=dict)
    defined: dict[str, Object] = field(default_factory=dict)
    allowed: list[str] = field(default_factory=list)
    executed: list[str] = field(default_factory=list)
    watched: list[str] = field(default_factory=list)
    enabled: list[str] | None = None
    constraint: str = ""

    def read(self, text: str | None = None) -> "Tilt":
        """Evaluate `text` as the root Tiltfile, and return self.

        Without `text`, evaluate the existing root Tiltfile.
        """
        self._modules: dict[Path, starlark.FrozenModule] = {}
        file = ROOT / "Tiltfile"
        self._evaluate(file, file.read_text() if text is None else text)
        return self

    def _evaluate(self, file: Path, text: str) -> starlark.FrozenModule:
        module = starlark.Module()
        module["TRIGGER_MODE_AUTO"] = "auto"
        module["TRIGGER_MODE_MANUAL"] = "manual"
        for name in dir(self):
            if name.startswith("tilt_"):
                module.add_callable(name.removeprefix("tilt_"), getattr(self, name))
        extensions = starlark.Globals.extended_by([starlark.LibraryExtension.StructType])
        dialect = starlark.Dialect.standard()
        dialect.enable_top_level_stmt = True
        starlark.eval(module, starlark.parse("prelude", PRELUDE, dialect), extensions)
        loader = starlark.FileLoader(lambda path: self._load((file.parent / path).resolve()))
        starlark.eval(module, starlark.parse(str(file), text, dialect), extensions, loader)
        return module.freeze()

    def _load(self, file: Path) -> starlark.FrozenModule:
        if file not in self._modules:
            self._modules[file] = self._evaluate(file, file.read_text())
        return self._modules[file]

    # Values

    def tilt_str(self, value: object) -> str:
        return value.text if isinstance(value, Blob) else str(value)

    def tilt_local(self, command: str, quiet: bool = False, echo_off: bool = False) -> Any:
        self.executed.append(command)
        printed = next((text for substring, text in self.prints.items() if substring in command), "")
        return starlark.OpaquePythonObject(Blob(printed))

    def tilt_kustomize(self, path: str) -> Any:
        return starlark.OpaquePythonObject(Blob(_rendered(path)))

    def tilt_decode_json(self, value: Blob) -> Any:
        return json.loads(self.tilt_str(value))

    def tilt_decode_yaml_stream(self, value: Blob) -> Any:
        return json.loads(self.tilt_str(value))

    def tilt_encode_yaml_stream(self, values: list[Object]) -> Any:
        return starlark.OpaquePythonObject(Blob(json.dumps(values)))

    def tilt__exists(self, path: str) -> bool:
        return (ROOT / path).exists()

    def tilt__join(self, *parts: str) -> str:
        return "/".join(parts)

    def tilt__dirname(self, path: str) -> str:
        return path.rpartition("/")[0]

    # Settings

    def tilt_version_settings(self, constraint: str) -> None:
        self.constraint = constraint

    def tilt__define(self, name: str, args: bool = False, usage: str = "") -> None:
        self.defined[name] = {"args": args, "usage": usage}

    def tilt__parse(self) -> Object:
        assert self.arguments.keys() <= self.defined.keys()
        return self.arguments

    def tilt__set_enabled_resources(self, resources: list[str]) -> None:
        self.enabled = resources

    def tilt_k8s_context(self) -> str:
        return self.context

    def tilt_allow_k8s_contexts(self, contexts: str) -> None:
        self.allowed.append(contexts)

    def tilt_watch_file(self, file_path: str) -> None:
        self.watched.append(file_path)

    # Manifests and images

    def tilt_k8s_yaml(self, yaml: Blob) -> None:
        self.objects += self.tilt_decode_yaml_stream(yaml)

    def tilt__workloads(self) -> list[dict[str, str]]:
        assert self.objects, "no k8s_yaml before workload_to_resource_function"
        return [{"name": each["metadata"]["name"], "kind": each["kind"]} for each in self._with_pods()]

    def tilt__name_workloads(self, names: list[str]) -> None:
        self.workloads = dict(zip(names, self._with_pods(), strict=True))

    def _with_pods(self) -> list[Object]:
        return [each for each in self.objects if {"template", "jobTemplate"} & each.get("spec", {}).keys()]

    def tilt_k8s_resource(
        self,
        workload: str = "",
        new_name: str = "",
        objects: list[str] | None = None,
        labels: list[str] | None = None,
        links: list[Object] | None = None,
        port_forwards: list[Object] | None = None,
        resource_deps: list[str] | None = None,
        trigger_mode: str = "auto",
        pod_readiness: str = "",
    ) -> None:
        assert workload or (new_name and objects)
        assert (new_name or workload) not in self.resources
        self.resources[new_name or workload] = {
            "workload": workload,
            "objects": objects or [],
            "labels": labels or [],
            "links": {each["name"]: each["url"] for each in links or []},
            "port_forwards": {each["local"]: each["container"] for each in port_forwards or []},
            "resource_deps": resource_deps or [],
            "trigger_mode": trigger_mode,
        }

    def tilt_link(self, url: str, name: str) -> Object:
        return {"url": url, "name": name}

    def tilt_port_forward(self, local_port: int, container_port: int, name: str) -> Object:
        return {"local": local_port, "container": container_port, "name": name}

    def tilt_local_resource(
        self,
        name: str,
        cmd: list[str],
        auto_init: bool = True,
        trigger_mode: str = "auto",
        labels: list[str] | None = None,
    ) -> None:
        self.local_resources[name] = {
            "cmd": cmd,
            "auto_init": auto_init,
            "trigger_mode": trigger_mode,
            "labels": labels or [],
        }

    def tilt_docker_build(
        self,
        ref: str,
        context: str,
        target: str,
        build_args: dict[str, str],
        only: list[str],
        ignore: list[str],
        live_update: list[Object],
    ) -> None:
        assert ref not in self.images
        self.images[ref] = {
            "context": context,
            "target": target,
            "build_args": build_args,
            "only": only,
            "ignore": ignore,
            "live_update": live_update,
        }

    def tilt_fall_back_on(self, files: list[str]) -> Object:
        return {"fall_back_on": files}

    def tilt_sync(self, local_path: str, remote_path: str) -> Object:
        return {"sync": [local_path, remote_path]}

    def tilt_run(self, cmd: str, trigger: list[str] | None = None) -> Object:
        return {"run": cmd, "trigger": trigger}

    # Buttons

    def tilt__ui_button(
        self,
        name: str,
        text: str,
        icon_name: str,
        location: Object,
        requires_confirmation: bool,
        inputs: list[Object],
    ) -> None:
        assert name not in self.buttons
        self.buttons[name] = {
            "text": text,
            "icon": icon_name,
            "location": location,
            "confirm": requires_confirmation,
            "inputs": {each["name"]: each["label"] for each in inputs},
        }

    def tilt__ui_component_location(self, component_id: str, component_type: str) -> Object:
        return {"component_id": component_id, "component_type": component_type}

    def tilt__ui_input_spec(self, name: str, label: str, text: Object) -> Object:
        return {"name": name, "label": label}

    def tilt__ui_text_input_spec(self) -> Object:
        return {}

    def tilt__cmd(self, name: str, annotations: dict[str, str], args: list[str], start_on: Object) -> None:
        assert annotations["tilt.dev/log-span-id"] == f"cmd:{name}"
        self.commands[name] = {
            "args": args,
            "buttons": start_on["ui_buttons"],
            "resource": annotations["tilt.dev/resource"],
        }

    def tilt__start_on_spec(self, ui_buttons: list[str]) -> Object:
        return {"ui_buttons": ui_buttons}


@functools.cache
def _rendered(folder: str) -> str:
    return json.dumps(kustomize.render(ROOT / folder))
